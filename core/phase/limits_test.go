package phase

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// sweptDesigns are designs whose output tokens go with the other regressors the
// less, the greater x is.
func sweptDesigns(tokens func(p Point, i int, x float64) float64) (fits []Fit, errs []error) {
	for x := 0.02; x < 4; x *= 1.01 {
		points := design(0, 1, 8, 64)
		for i := range points {
			if p := &points[i]; !p.idle() {
				p.DecodeTokens = tokens(*p, i, x)
				p.EnergyJ = 130*p.TimeS + 0.4*p.Steps + 0.02*p.PrefillTokens + 0.05*p.DecodeTokens
			}
		}
		f, err := Regress(points)
		fits, errs = append(fits, f), append(errs, err)
	}
	return fits, errs
}

// A design is refused for its correlations above 0.95, and not just below.
func TestCorrelationIsHeldToItsLimit(t *testing.T) {
	fits, errs := sweptDesigns(func(p Point, i int, x float64) float64 { return p.Steps * (5 + x*math.Sin(float64(i))) })
	above, below := 0, 0
	for i, f := range fits {
		refused := errs[i] != nil && strings.Contains(errs[i].Error(), "are correlated by")
		if refused != (f.MostCorrelation > 0.95) {
			t.Errorf("a correlation of %.4f: %v", f.MostCorrelation, errs[i])
		}
		switch c := f.MostCorrelation; {
		case c > 0.95 && c < 0.98:
			above++
		case c > 0.9 && c <= 0.95:
			below++
		}
	}
	if above == 0 || below == 0 {
		t.Errorf("%d designs just above the limit, %d just below", above, below)
	}
}

// Regressors that hang together without any two of them doing so are refused from a
// variance inflation of 30 on: output tokens go with time, steps and prompt tokens
// alike, which have nothing to do with each other.
func TestInflationIsHeldToItsLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	above, below := 0, 0
	for range 4000 {
		points := []Point{{EnergyJ: 3, TimeS: 3}}
		own := 0.05 + 0.25*r.Float64()
		for i := range 16 {
			p := Point{Shape: fmt.Sprint(i), Concurrency: 1 + i%2, TimeS: 0.1 + r.Float64(), Steps: 0.1 + r.Float64(), PrefillTokens: 0.1 + r.Float64(), ContextTokens: 0.1 + r.Float64()}
			p.DecodeTokens = (p.TimeS + p.Steps + p.PrefillTokens) / 3 * (1 + own*r.NormFloat64())
			p.EnergyJ = p.TimeS + p.Steps + p.PrefillTokens + p.DecodeTokens + p.ContextTokens
			points = append(points, p)
		}
		f, err := Regress(points)
		if f.MostCorrelation > 0.95 {
			continue
		}
		refused := err != nil && strings.Contains(err.Error(), "hang together")
		if refused != (f.MostInflation > 30) {
			t.Errorf("an inflation of %.2f: %v", f.MostInflation, err)
		}
		switch v := f.MostInflation; {
		case v > 30 && v < 40:
			above++
		case v > 25 && v <= 30:
			below++
		}
	}
	if above == 0 || below == 0 {
		t.Errorf("%d designs just above the limit, %d just below", above, below)
	}
}

// The bounds of a coefficient are no narrower than the jackknife over shapes says.
func TestBoundsHoldTheJackknife(t *testing.T) {
	points := design(0.01, 1, 8, 64)
	f, err := Regress(points)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string]bool{}
	for _, p := range points {
		shapes[p.Shape] = !p.idle()
	}
	delete(shapes, "")
	weights := [parts]float64{partDecode: 1, partContext: 700}
	var pseudo []float64 // k·c - (k-1)·c without one: their standard error is the jackknife's
	whole, err := leastSquares(points)
	if err != nil {
		t.Fatal(err)
	}
	k := float64(len(shapes))
	for _, shape := range slices.Sorted(maps.Keys(shapes)) {
		s, err := leastSquares(slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Shape == shape }))
		if err != nil {
			t.Fatal(err)
		}
		pseudo = append(pseudo, k*whole.value(weights)-(k-1)*s.value(weights))
	}
	want := stats.TQuantile(0.975, k-1) * stats.StdDev(pseudo) / math.Sqrt(k) / whole.value(weights)
	if _, rel := f.known(weights); rel < want {
		t.Errorf("decode is known to ±%g, and the jackknife says ±%g", rel, want)
	}
	f.LeaveOutRel, f.RepeatRel = 0, nil
	_, rel := f.known(weights)
	near(t, "half-width of decode", rel, want, 1e-9)
}

// Samples may be lost from 5 % of a side, and prompts and outputs of a probe differ
// by 1 %.
func TestSplitsAreHeldToTheirLimits(t *testing.T) {
	for lostNs, want := range map[int64]bool{80e6: true, 120e6: false} { // of 2 s of decode
		whole := square(t)
		var s []energy.Sample
		for _, x := range whole.Samples() {
			if x.MonoNs <= 4e9 || x.MonoNs > 4e9+lostNs {
				s = append(s, x)
			}
		}
		trace, err := energy.NewTrace(whole.Domain, s, 40e9)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Align([]*energy.Trace{trace}, []Span{{2e9, 3e9, 5e9}}); (err == nil) != want {
			t.Errorf("%d ms lost: %v", lostNs/1e6, err)
		}
	}
	full := map[int]Work{0: {EnergyJ: 100, Requests: 1000, PromptTokens: 100e3, OutputTokens: 16e3}}
	for probe, want := range map[Work]bool{
		{EnergyJ: 40, Requests: 1000, PromptTokens: 100.9e3, OutputTokens: 1000}: true,
		{EnergyJ: 40, Requests: 1000, PromptTokens: 101.1e3, OutputTokens: 1000}: false,
		{EnergyJ: 40, Requests: 1000, PromptTokens: 98.9e3, OutputTokens: 1000}:  false,
		{EnergyJ: 40, Requests: 1000, PromptTokens: 100e3, OutputTokens: 1009}:   true,
		{EnergyJ: 40, Requests: 1000, PromptTokens: 100e3, OutputTokens: 1011}:   false,
	} {
		if s := Subtract(stats.Spec{}, full, map[int]Work{0: probe}); (s.Method != "") != want {
			t.Errorf("%+v: %s", probe, s.Reason())
		}
	}
}

// The edges of two windows weigh less on their mean.
func TestEdgesOfSeveralWindows(t *testing.T) {
	w := AlignedWork{Aligned: Aligned{PrefillJ: 10, DecodeJ: 20, PrefillEdgeRel: 0.02, DecodeEdgeRel: 0.01}, Requests: 1, PromptTokens: 10, OutputTokens: 11}
	s := FromAligned(stats.Spec{}, [][]AlignedWork{{w, w}})
	near(t, "prefill", *s.Prefill.RandomRel, 1.959963984540054*0.02/math.Sqrt2, 1e-9)
	near(t, "decode", *s.Decode.RandomRel, 1.959963984540054*0.01/math.Sqrt2, 1e-9)
}
