package stats

import (
	"math"
	"math/big"
	"testing"
)

func TestLeastForQuantile(t *testing.T) {
	// 0.5^6 = 0.0156, 0.9^36 = 0.0225, 0.95^72 = 0.0249, 0.99^368 = 0.0248: the
	// first powers below 0.025.
	for p, want := range map[float64]int{0.5: 6, 0.9: 36, 0.1: 36, 0.95: 72, 0.99: 368} {
		if got := LeastForQuantile(p); got != want {
			t.Errorf("p = %v: %d, want %d", p, got, want)
		}
		if _, _, ok := OrderRanks(p, want); !ok {
			t.Errorf("p = %v: no ranks of %d values", p, want)
		}
		if lo, hi, ok := OrderRanks(p, want-1); ok {
			t.Errorf("p = %v: ranks %d and %d of %d values", p, lo, hi, want-1)
		}
	}
	for _, p := range []float64{0, 1, -1, 2} {
		if _, _, ok := OrderRanks(p, 1000); ok {
			t.Errorf("ranks for p = %v", p)
		}
	}
}

// The ranks of the median are those of the tables for the sign test.
func TestOrderRanksOfTheMedian(t *testing.T) {
	for n, want := range map[int][2]int{6: {1, 6}, 8: {1, 8}, 9: {2, 8}, 10: {2, 9}, 15: {4, 12}, 20: {6, 15}, 25: {8, 18}} {
		if lo, hi, ok := OrderRanks(0.5, n); !ok || lo != want[0] || hi != want[1] {
			t.Errorf("n = %d: %d and %d, %v; want %v", n, lo, hi, ok, want)
		}
	}
}

// Each tail, summed up in exact fractions, has at most 2.5 %, and would have more
// if its rank were one nearer.
func TestOrderRanksAreTheNarrowest(t *testing.T) {
	half := big.NewRat(25, 1000)
	for _, c := range []struct {
		top, bottom int64
		n           int
	}{{1, 2, 6}, {1, 2, 37}, {9, 10, 36}, {9, 10, 100}, {19, 20, 72}, {19, 20, 256}, {99, 100, 368}, {99, 100, 600}} {
		p, _ := big.NewRat(c.top, c.bottom).Float64()
		lo, hi, ok := OrderRanks(p, c.n)
		if !ok {
			t.Fatalf("p = %v, n = %d: no ranks", p, c.n)
		}
		if atMost(c.top, c.bottom, c.n, lo-1).Cmp(half) > 0 || atMost(c.top, c.bottom, c.n, lo).Cmp(half) <= 0 {
			t.Errorf("p = %v, n = %d: lower rank %d", p, c.n, lo)
		}
		above := func(k int) *big.Rat { return new(big.Rat).Sub(big.NewRat(1, 1), atMost(c.top, c.bottom, c.n, k)) }
		if above(hi-1).Cmp(half) > 0 || above(hi-2).Cmp(half) <= 0 {
			t.Errorf("p = %v, n = %d: upper rank %d", p, c.n, hi)
		}
	}
}

// atMost is the binomial P(B <= k) for p = top/bottom.
func atMost(top, bottom int64, n, k int) *big.Rat {
	sum := new(big.Int)
	for i := 0; i <= k; i++ {
		term := new(big.Int).Binomial(int64(n), int64(i))
		term.Mul(term, new(big.Int).Exp(big.NewInt(top), big.NewInt(int64(i)), nil))
		term.Mul(term, new(big.Int).Exp(big.NewInt(bottom-top), big.NewInt(int64(n-i)), nil))
		sum.Add(sum, term)
	}
	return new(big.Rat).SetFrac(sum, new(big.Int).Exp(big.NewInt(bottom), big.NewInt(int64(n)), nil))
}

// Millions of values are as the normal approximation has them: p*n and 1.96 standard
// deviations to either side, within a rank or two.
func TestOrderRanksOfMany(t *testing.T) {
	for _, p := range []float64{0.5, 0.9, 0.99} {
		for _, n := range []int{100_000, 5_000_000} {
			lo, hi, ok := OrderRanks(p, n)
			centre, half := p*float64(n), 1.959964*math.Sqrt(float64(n)*p*(1-p))
			if !ok || math.Abs(float64(lo)-(centre-half)) > 3 || math.Abs(float64(hi)-(centre+half)) > 3 {
				t.Errorf("p = %v, n = %d: %d and %d, %v; the approximation is %.1f and %.1f", p, n, lo, hi, ok, centre-half, centre+half)
			}
		}
	}
}
