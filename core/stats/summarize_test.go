package stats

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func ptr(v float64) *float64 { return &v }

func TestWindowsOfALoadAreAveragedFirst(t *testing.T) {
	loads := [][]float64{{10, 12}, {13, 13}, {9, 11}}
	e, err := SummarizeLoads(Spec{Metric: "energy", Unit: "J/token", Boundary: "gpu[GPU-1]", SystematicRel: ptr(0.05)}, loads)
	if err != nil {
		t.Fatal(err)
	}
	want, err := TInterval([]float64{11, 13, 10})
	if err != nil {
		t.Fatal(err)
	}
	if e.N != 3 || *e.Lo != want.Lo || *e.Hi != want.Hi || e.Method != MethodT || e.Direction != Lower || *e.SystematicRel != 0.05 {
		t.Errorf("%+v", e)
	}
	if e.BCa != nil || e.BCaAbsent != CodeSmallN {
		t.Errorf("BCa at n = 3: %+v %q", e.BCa, e.BCaAbsent)
	}
	// By hand: MSB = 2·Σ(m-m̄)²/2 with m̄ = 34/3, MSW = (2+0+2)/3, n0 = 2.
	m := 34.0 / 3
	msb := ((11-m)*(11-m) + (13-m)*(13-m) + (10-m)*(10-m)) * 2 / 2
	near(t, "within", e.Components.WithinRel, math.Sqrt(4.0/3)/m, 1e-12)
	near(t, "between", e.Components.BetweenRel, math.Sqrt((msb-4.0/3)/2)/m, 1e-12)
	near(t, "windows per load", e.Components.WindowsPerLoad, 2, 1e-12)
}

func TestOneLoad(t *testing.T) {
	e, err := SummarizeLoads(Spec{Metric: "energy", Unit: "J/token", EdgeRel: ptr(0.004)}, [][]float64{{10, 12}})
	if err != nil {
		t.Fatal(err)
	}
	if e.HasInterval() || e.CV != nil || !e.Has(CodeSingleCycle) || e.Method != MethodModelledEdge {
		t.Errorf("%+v", e)
	}
	near(t, "edge term", *e.RandomRel, 0.004*1.959963984540054, 1e-9)
	bare, err := SummarizeLoads(Spec{Metric: "speed", Unit: "tokens/s"}, [][]float64{{10}})
	if err != nil || bare.RandomRel != nil || bare.Method != MethodNone || bare.Direction != Higher {
		t.Errorf("%+v, %v", bare, err)
	}
	raw, err := json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{`"lo":null`, `"hi":null`, `"random_rel":null`, `"systematic_rel":null`, `"cv":null`} {
		if !strings.Contains(string(raw), absent) {
			t.Errorf("%s lacks %s", raw, absent)
		}
	}
	var back Estimate
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(bare, back); d != "" {
		t.Error(d)
	}
}

func TestGroupedIsFlagged(t *testing.T) {
	e, err := SummarizeGrouped(Spec{Metric: "energy", Unit: "J/token"}, []float64{10, 11, 10.5})
	if err != nil || !e.Has(CodeSingleLoad) || !e.HasInterval() || e.N != 3 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestWarnings(t *testing.T) {
	spec := Spec{Metric: "m", Unit: "J/token", Seed: 7}
	for name, code := range map[string]string{"skew12": CodeOutlier, "drift12": CodeDrift, "logn30": CodeCVHigh} {
		e, err := SummarizeLoads(spec, oneWindow(sample(t, name)))
		if err != nil || !e.Has(code) {
			t.Errorf("%s lacks %s: %+v, %v", name, code, e.Warnings, err)
		}
		for _, w := range e.Warnings {
			if w.Code == CodeCVHigh && (w.Value == nil || *w.Value != *e.CV) {
				t.Errorf("%s: the figure of %+v is not the CV %v", name, w, *e.CV)
			}
		}
		if e.N != len(sample(t, name)) {
			t.Errorf("%s: %d samples went in, %d counted", name, len(sample(t, name)), e.N)
		}
	}
	drift, err := SummarizeLoads(spec, oneWindow(sample(t, "drift12")))
	if err != nil || !drift.Has(CodeAutocorrelate) {
		t.Errorf("drift12 has lag-1 correlation 0.75: %+v, %v", drift.Warnings, err)
	}
	calm, err := SummarizeLoads(spec, oneWindow(sample(t, "ints10")))
	if err != nil || len(calm.Warnings) != 0 {
		t.Errorf("ints10: %+v, %v", calm.Warnings, err)
	}
	flat, err := SummarizeLoads(spec, oneWindow([]float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}))
	if err != nil || !flat.Has(CodeDegenerate) || *flat.Lo != 0.1 || *flat.Hi != 0.1 || *flat.CV != 0 {
		t.Errorf("%+v, %v", flat, err)
	}
	uneven, err := SummarizeLoads(spec, [][]float64{{1, 1.01}, {1.02}})
	if err != nil || !uneven.Has(CodeUnequalLoads) {
		t.Errorf("%+v, %v", uneven, err)
	}
}

// The interval of few and wild samples goes below zero. It is not cut off, but
// the estimate says how many samples would keep it above.
func TestIntervalBelowZero(t *testing.T) {
	const code = "interval_below_zero"
	wild := []float64{0.3, 1.8}
	e, err := SummarizeLoads(Spec{Metric: "energy", Unit: "J/token"}, oneWindow([]float64{1, 1.1}))
	if err != nil || e.Has(code) {
		t.Errorf("an interval above zero: %+v, %v", e, err)
	}
	e, err = SummarizeLoads(Spec{Metric: "energy", Unit: "J/token"}, oneWindow(wild))
	want, _ := TInterval(wild)
	if err != nil || !e.Has(code) || *e.Lo != want.Lo || *e.Lo >= 0 || *e.Hi != want.Hi {
		t.Fatalf("%+v, %v", e, err)
	}
	// CV = 1.06066/1.05 = 1.0102: t(0.975, 5)·CV/√6 = 1.060, t(0.975, 6)·CV/√7 = 0.934.
	if w := e.Warnings[len(e.Warnings)-1]; *w.Value != want.Lo/1.05 || !strings.Contains(w.Message, "2 samples reaches down to -8.48 J/token") || !strings.HasSuffix(w.Message, "with their spread 7 would do") {
		t.Errorf("%+v", w)
	}
	for unit, values := range map[string][]float64{"degC": {0.3, 1.8}, "J/token": {-0.3, 1.8}} {
		if e, err := SummarizeLoads(Spec{Metric: "m", Unit: unit}, oneWindow(values)); err != nil || *e.Lo >= 0 || e.Has(code) {
			t.Errorf("%v %s may be below zero: %+v, %v", values, unit, e, err)
		}
	}
}

func TestBCaBesideTFromTwenty(t *testing.T) {
	x := sample(t, "logn30")
	for _, n := range []int{19, 20, 30} {
		e, err := SummarizeLoads(Spec{Metric: "m", Unit: "J", Seed: 42}, oneWindow(x[:n]))
		if err != nil {
			t.Fatal(err)
		}
		if (e.BCa != nil) != (n >= MinBCa) || e.Method != MethodT {
			t.Errorf("n = %d: BCa %v, method %s", n, e.BCa, e.Method)
		}
	}
	flat := make([]float64, 25)
	for i := range flat {
		flat[i] = 7
	}
	e, err := SummarizeLoads(Spec{Metric: "m", Unit: "J"}, oneWindow(flat))
	if err != nil || e.BCa != nil || e.BCaAbsent != CodeDegenerate {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestNonFiniteIsRefusedByPlace(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := SummarizeLoads(Spec{Metric: "energy"}, [][]float64{{1}, {2, bad}})
		if err == nil || !strings.Contains(err.Error(), "load 2 of 2: value 2 of 2") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, loads := range [][][]float64{nil, {}, {{1}, {}}, {{math.MaxFloat64, math.MaxFloat64}}, {{math.MaxFloat64}, {math.MaxFloat64}}} {
		if e, err := SummarizeLoads(Spec{Metric: "energy"}, loads); err == nil {
			t.Errorf("%v gave %+v", loads, e)
		}
	}
}

// Whatever finite numbers come in, an estimate encodes (no NaN), holds its centre
// and does not depend on the scale.
func TestEstimateProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(0.01, 1000), 2, 24).Draw(rt, "x")
		e, err := SummarizeLoads(Spec{Metric: "m", Unit: "J/token", Seed: 3}, oneWindow(x))
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := json.Marshal(e); err != nil {
			rt.Fatal(err)
		}
		if *e.Lo > e.Centre*(1+1e-12) || *e.Hi < e.Centre*(1-1e-12) {
			rt.Fatalf("centre %g outside [%g, %g]", e.Centre, *e.Lo, *e.Hi)
		}
		scaled := make([]float64, len(x))
		for i := range x {
			scaled[i] = x[i] * 1024
		}
		s, err := SummarizeLoads(Spec{Metric: "m", Unit: "J/token", Seed: 3}, oneWindow(scaled))
		if err != nil || math.Abs(*s.RandomRel-*e.RandomRel) > 1e-9*(*e.RandomRel) {
			rt.Fatalf("scale changed the relative half-width: %v, %v", *s.RandomRel, *e.RandomRel)
		}
	})
}

func TestComponentsOfKnownSpread(t *testing.T) {
	// 4,000 loads of 2 windows: 0.8 % between, 0.4 % within.
	rng := splitmix64(11)
	normal := func() float64 { return normalQuantile((float64(rng.next()>>11) + 0.5) / (1 << 53)) }
	loads := make([][]float64, 4000)
	for i := range loads {
		base := 100 + 0.8*normal()
		loads[i] = []float64{base + 0.4*normal(), base + 0.4*normal()}
	}
	c := componentsOf(loads)
	near(t, "between", c.BetweenRel, 0.008, 0.05)
	near(t, "within", c.WithinRel, 0.004, 0.05)
	if componentsOf([][]float64{{1}, {2}}) != nil || componentsOf([][]float64{{1, 2}}) != nil {
		t.Error("components out of nothing")
	}
}

func TestDirections(t *testing.T) {
	for unit, want := range map[string]Direction{
		"J/token": Lower, "J/output_token": Lower, "tokens/s": Higher, "output_tokens/s": Higher, "ms": Lower, "W": Lower,
		"tokens/J": Higher, "EUR/request": Lower, "°C": Neither, "1": Neither, "": Neither, "things/s": Neither, "J/prefill_token": Lower,
	} {
		if got := DirectionOf(unit); got != want {
			t.Errorf("DirectionOf(%q) = %s, want %s", unit, got, want)
		}
	}
	if !Lower.Better(1, 2) || Lower.Better(2, 1) || !Higher.Better(2, 1) || Neither.Better(1, 2) {
		t.Error("Better is wrong")
	}
}

// One load with an interval from inside it has that, under a name of its own; several
// loads have none of it.
func TestOneLoadFromWithin(t *testing.T) {
	spec := Spec{Metric: "ttft_p90", Unit: "ms", WithinLoad: &Interval{Lo: 9, Hi: 13}, EdgeRel: number(0.01)}
	e, err := SummarizeLoads(spec, [][]float64{{10}})
	if err != nil || e.Method != MethodOrder || *e.Lo != 9 || *e.Hi != 13 || *e.RandomRel != 0.2 || e.N != 1 || !e.Has(CodeSingleCycle) {
		t.Errorf("one load: %+v, %v", e, err)
	}
	if g, err := SummarizeGrouped(spec, []float64{10}); err != nil || g.Method != MethodOrder || !g.Has(CodeSingleLoad) || g.Has(CodeSingleCycle) {
		t.Errorf("one window: %+v, %v", g, err)
	}
	e, err = SummarizeLoads(spec, [][]float64{{10}, {11}})
	if err != nil || e.Method != MethodT || *e.Lo > 9 || e.Has(CodeSingleCycle) {
		t.Errorf("two loads: %+v, %v", e, err)
	}
}
