package measure

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"

	"github.com/llenergymeasure/llem/core/study"
)

// cdfs are the distributions of a gap with mean 1, each by a closed form that the
// schedule does not use.
var cdfs = []struct {
	name     string
	schedule schedule
	cdf      func(x float64) float64
}{
	{"poisson", schedule{mode: "poisson"}, func(x float64) float64 { return 1 - math.Exp(-x) }},
	{"gamma 1", schedule{mode: "gamma", burstiness: 1}, func(x float64) float64 { return 1 - math.Exp(-x) }},
	{"gamma 1/2", schedule{mode: "gamma", burstiness: 0.5}, func(x float64) float64 { return math.Erf(math.Sqrt(0.5 * x)) }},
	{"gamma 2", schedule{mode: "gamma", burstiness: 2}, func(x float64) float64 { return 1 - math.Exp(-2*x)*(1+2*x) }},
	{"gamma 3", schedule{mode: "gamma", burstiness: 3}, func(x float64) float64 { return 1 - math.Exp(-3*x)*(1+3*x+4.5*x*x) }},
}

// gaps between the arrivals, in mean gaps.
func (s schedule) gaps(count int) []float64 {
	var gaps []float64
	before := int64(0)
	for _, at := range s.offsets(count) {
		gaps = append(gaps, float64(at-before)/1e9*s.ratePerS)
		before = at
	}
	return gaps
}

// Gaps have the distribution that the mode names: at no quantile are more of them
// below than a sample of it has (Kolmogorov-Smirnov at one in a million), and they
// know nothing of their neighbours.
func TestGapsHaveTheirDistribution(t *testing.T) {
	const n = 20_000
	for _, c := range cdfs {
		c.schedule.ratePerS, c.schedule.seed = 2.5, 42
		gaps := c.schedule.gaps(n)
		mean, square, neighbours := 0.0, 0.0, 0.0
		for i, g := range gaps {
			mean += g / n
			square += (g - 1) * (g - 1) / n
			if i > 0 {
				neighbours += (g - 1) * (gaps[i-1] - 1) / n
			}
		}
		shape := c.schedule.shape()
		if sd := 1 / math.Sqrt(shape*n); math.Abs(mean-1) > 5*sd {
			t.Errorf("%s: the mean gap is %.4f", c.name, mean)
		}
		if r := neighbours / square; math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("%s: neighbouring gaps are correlated by %.4f", c.name, r)
		}
		slices.Sort(gaps)
		worst := 0.0
		for i, g := range gaps {
			p := c.cdf(g)
			worst = max(worst, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
		}
		if limit := math.Sqrt(math.Log(2/1e-6) / 2 / n); worst > limit {
			t.Errorf("%s: the share below a quantile is off by %.4f, and chance lets it be %.4f", c.name, worst, limit)
		}
	}
}

// The inverse holds for bursts and for nearly constant gaps, too.
func TestUnitGapInvertsItsDistribution(t *testing.T) {
	for _, shape := range []float64{0.05, 0.3, 1, 4, 50, 1000} {
		for _, u := range []float64{1e-6, 0.01, 0.25, 0.5, 0.9, 0.999, 1 - 1e-9} {
			x := mathext.GammaIncRegInv(shape, u)
			if x == 0 && mathext.GammaIncReg(shape, 1e-12) >= u {
				continue // a gap below any stamp
			}
			if back := mathext.GammaIncReg(shape, x); math.Abs(back-u) > 1e-6*u || x < 0 || math.IsInf(x, 0) {
				t.Errorf("shape %v: the quantile %v is %v, and below that lies %v", shape, u, x, back)
			}
		}
	}
}

func TestConstantArrivalsDoNotDrift(t *testing.T) {
	offsets := schedule{mode: "constant", ratePerS: 3}.offsets(3_000_000)
	for _, k := range []int{0, 1, 2, 2_999_999} {
		if want := int64(math.Round(float64(k+1) / 3 * 1e9)); offsets[k] != want {
			t.Errorf("arrival %d is at %d ns, want %d", k, offsets[k], want)
		}
	}
}

// The same schedule gives the same arrivals, a longer one begins like a shorter;
// another block, seed or Run gives others; and another rate stretches them.
func TestSchedulesAreSeeded(t *testing.T) {
	base := schedule{mode: "poisson", ratePerS: 4, seed: 7, block: 2}
	short, long := base.offsets(50), base.offsets(100)
	if !slices.Equal(short, long[:50]) {
		t.Error("a longer schedule begins otherwise")
	}
	if !slices.IsSorted(long) || long[0] <= 0 {
		t.Error("arrivals do not rise")
	}
	for name, change := range map[string]func(*schedule){
		"block": func(s *schedule) { s.block = 3 }, "seed": func(s *schedule) { s.seed = 8 }, "warm-up": func(s *schedule) { s.warmUp = true },
	} {
		other := base
		change(&other)
		same := 0
		for i, at := range other.offsets(100) {
			if at == long[i] {
				same++
			}
		}
		if same > 1 {
			t.Errorf("another %s has %d of 100 arrivals in common", name, same)
		}
	}
	slow := base
	slow.ratePerS = 1
	for i, at := range slow.offsets(100) {
		if math.Abs(float64(at-4*long[i])) > 4 {
			t.Fatalf("arrival %d of a quarter of the rate is at %d ns, that of the whole at %d", i, at, long[i])
		}
	}
}

// A schedule holds all that its Run may need, whatever its block.
func TestAScheduleIsLongEnough(t *testing.T) {
	for _, l := range []study.LoadSpec{
		{Mode: "constant", Rate: 20}, {Mode: "poisson", Rate: 0.3}, {Mode: "poisson", Rate: 50},
		{Mode: "gamma", Rate: 2, Burstiness: 0.2}, {Mode: "gamma", Rate: 40, Burstiness: 9},
	} {
		c := study.Cell{Load: l, Protocol: study.Protocol{ConditioningS: 3, WindowS: 5}}
		count := scheduledRequests(c, 2)
		needed := int64((9+2*5)*1e9) + int64(edgeRounds(c, 2)*float64(edgeStep(c))/l.Rate*1e9)
		for block := range 40 {
			offsets := schedule{mode: l.Mode, ratePerS: l.Rate, burstiness: l.Burstiness, seed: 42, block: block}.offsets(count)
			if last := offsets[count-1]; last < needed {
				t.Errorf("%+v, block %d: %d arrivals end after %.1f s of %.1f", l, block, count, float64(last)/1e9, float64(needed)/1e9)
			}
		}
	}
}
