package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every doubt about the samples of a cell begins where docs/gates.md says, and not
// before.
func TestDoubtsBeginAtTheirLimits(t *testing.T) {
	spread := func(cv float64) []float64 { // of four samples
		d := cv * math.Sqrt(3.0/4)
		return []float64{1 - d, 1 + d, 1 + d, 1 - d}
	}
	// The median of five is 100 and the median deviation from it 0.5.
	far := func(z float64) []float64 { return []float64{99, 100.5, 100, 99.5, 100 + z*0.5*1.4826022185056018} }
	rising := func(n int, rel float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = 1 + rel*(float64(i)/float64(n-1)-0.5)
		}
		return x
	}
	for _, c := range []struct {
		name string
		code string
		x    []float64
		want bool
	}{
		{"CV below 5 %", CodeCVHigh, spread(0.0499), false},
		{"CV above 5 %", CodeCVHigh, spread(0.0501), true},
		{"modified z below 3.5", CodeOutlier, far(3.49), false},
		{"modified z above 3.5", CodeOutlier, far(3.51), true},
		{"four values", CodeOutlier, far(50)[1:], false},
		{"a trend of less than 1 %", CodeDrift, rising(6, 0.0099), false},
		{"a trend of more than 1 %", CodeDrift, rising(6, 0.0101), true},
		{"a trend downwards", CodeDrift, rising(6, -0.0101), true},
		{"a trend of four, which chance makes", CodeDrift, rising(4, 0.5), false},
		{"neighbours alike by less than 0.5", CodeAutocorrelate, alike(t, 8, 0.49), false},
		{"neighbours alike by more than 0.5", CodeAutocorrelate, alike(t, 8, 0.51), true},
		{"neighbours of seven", CodeAutocorrelate, alike(t, 7, 0.51), false},
		{"equal", CodeDegenerate, []float64{2, 2, 2}, true},
	} {
		loads := make([][]float64, len(c.x))
		for i, v := range c.x {
			loads[i] = []float64{v}
		}
		e, err := SummarizeLoads(joulePerToken, loads)
		if err != nil || e.Has(c.code) != c.want {
			t.Errorf("%s: %v has %+v, %v", c.name, c.x, e.Warnings, err)
		}
	}
}

// alike is a ramp with as much of an alternation as brings the lag-1 correlation to
// want.
func alike(t *testing.T, n int, want float64) []float64 {
	t.Helper()
	lo, hi := 0.0, 10.0
	x := make([]float64, n)
	for range 60 {
		a := (lo + hi) / 2
		for i := range x {
			x[i] = 100 + 1e-3*(float64(i)+a*float64(1-2*(i%2)))
		}
		if d, ok := DriftOf(x); !ok {
			t.Fatal("no trend can be looked for")
		} else if d.Lag1 > want {
			lo = a
		} else {
			hi = a
		}
	}
	return x
}

// The residual is pooled over arms that spread alike in 39 of 40 studies, and hardly
// ever with an arm that is seen to spread more.
func TestPoolingAsksWhetherSpreadsAgree(t *testing.T) {
	const studies = 1000
	r := rand.New(rand.NewPCG(41, 42))
	for _, c := range []struct {
		arms, blocks int
		wild         float64
		least, most  float64
	}{
		{3, 5, 1, 0.96, 0.99},
		{4, 5, 1, 0.96, 0.99},
		{8, 5, 1, 0.96, 0.99},
		{4, 8, 4, 0, 0.25},
		{8, 8, 3, 0, 0.2},
	} {
		pooled := 0
		for range studies {
			arms := make([]Arm, c.arms)
			for i := range arms {
				arms[i] = Arm{Name: fmt.Sprint(i), Values: map[int]float64{}}
				for b := range c.blocks {
					sd := 0.01
					if i == 0 {
						sd *= c.wild
					}
					arms[i].Values[b] = math.Exp(sd * r.NormFloat64())
				}
			}
			list, err := CompareBlocks(joulePerToken, arms[0], arms[1:])
			if err != nil {
				t.Fatal(err)
			}
			if list[0].Method == MethodBlocksPool {
				pooled++
			}
		}
		if share := float64(pooled) / studies; share < c.least || share > c.most {
			t.Errorf("%d arms, %d blocks, one spreads %g times as much: pooled in %.1f %%", c.arms, c.blocks, c.wild, 100*share)
		}
	}
}

// The flag of an outlier says what Grubbs' test makes of it.
func TestOutliersSayWhatChanceMakes(t *testing.T) {
	for _, c := range []struct {
		x     []float64
		words string
	}{
		{[]float64{99, 100.5, 100, 99.5, 110}, "every fifth set"},
		{[]float64{99, 100.5, 100, 99.5, 100, 120}, "test agrees"},
		{[]float64{99, 100.5, 100, 99.5, 100, 102.65}, "test does not agree"},
		{[]float64{99, 100.5, 100, 99.5, 100, 100.2, 130, 131}, "test does not agree"}, // two hide each other
	} {
		loads := make([][]float64, len(c.x))
		for i, v := range c.x {
			loads[i] = []float64{v}
		}
		e, err := SummarizeLoads(joulePerToken, loads)
		if err != nil {
			t.Fatal(err)
		}
		flagged := 0
		for _, w := range e.Warnings {
			if w.Code != CodeOutlier {
				continue
			}
			if flagged++; !strings.Contains(w.Message, c.words) {
				t.Errorf("%v: %s", c.x, w.Message)
			}
		}
		if flagged == 0 {
			t.Errorf("%v: nothing is flagged", c.x)
		}
	}
}
