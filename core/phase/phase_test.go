package phase

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

func near(t *testing.T, what string, got, want, rel float64) {
	t.Helper()
	if !(math.Abs(got/want-1) <= rel) {
		t.Errorf("%s = %g, want %g within %g", what, got, want, rel)
	}
}

// 10 J of prefill for 100 prompt tokens, 2 J for each later token.
func TestSubtract(t *testing.T) {
	full, probe := map[int]Work{}, map[int]Work{}
	for b := range 5 {
		drift := 1 + 0.001*float64(b)
		full[b] = Work{EnergyJ: 8 * (10 + 2*15) * drift, Requests: 8, PromptTokens: 800, OutputTokens: 128}
		probe[b] = Work{EnergyJ: 4 * 10 * drift, Requests: 4, PromptTokens: 400, OutputTokens: 4}
	}
	s := Subtract(stats.Spec{Boundary: "gpu[x]"}, full, probe)
	if s.Method != Subtraction {
		t.Fatalf("%+v", s)
	}
	near(t, "prefill", s.Prefill.Centre, 0.1, 0.003)
	near(t, "decode", s.Decode.Centre, 2, 0.003)
	if s.Decode.N != 5 || !s.Decode.HasInterval() || s.Decode.Boundary != "gpu[x]" || s.Decode.Metric != MetricDecode {
		t.Errorf("%+v", s.Decode)
	}
	if len(s.Prefill.Warnings)+len(s.Decode.Warnings) > 0 {
		t.Errorf("whole blocks: %+v, %+v", s.Prefill.Warnings, s.Decode.Warnings)
	}
	// What one of the two lacks is left out, and both values say so.
	delete(probe, 1)
	full[3] = Work{}
	probe[7] = probe[0]
	s = Subtract(stats.Spec{}, full, probe)
	for _, e := range []*stats.Estimate{s.Prefill, s.Decode} {
		if e == nil || e.N != 3 || !e.Has(stats.CodeIncompleteBlocks) || !strings.HasPrefix(e.Warnings[0].Message, "3 blocks") {
			t.Errorf("%+v", e)
		}
	}
}

// Five pairs of a batch with one and with 256 output tokens, whose split was worked
// out elsewhere; the interval of decode is that of the pairs' differences.
func TestSubtractVector(t *testing.T) {
	one, all := []float64{20.1, 20.4, 19.8, 20.3, 20.2}, []float64{98.7, 99.4, 98.1, 98.9, 99.0}
	full, probe := map[int]Work{}, map[int]Work{}
	for b := range one {
		full[b] = Work{EnergyJ: all[b], Requests: 1, PromptTokens: 128, OutputTokens: 256}
		probe[b] = Work{EnergyJ: one[b], Requests: 1, PromptTokens: 128, OutputTokens: 1}
	}
	s := Subtract(stats.Spec{}, full, probe)
	near(t, "prefill", 128*s.Prefill.Centre, 20.16, 1e-12)
	near(t, "decode", s.Decode.Centre, 0.30847058823529416, 1e-12)
	near(t, "half-width of decode", (*s.Decode.Hi-*s.Decode.Lo)/2, 0.0012697504193793726, 1e-9)
}

func TestSubtractRefuses(t *testing.T) {
	good := Work{EnergyJ: 100, Requests: 4, PromptTokens: 400, OutputTokens: 64}
	probe := Work{EnergyJ: 40, Requests: 4, PromptTokens: 400, OutputTokens: 4}
	for name, c := range map[string]struct {
		full, probe map[int]Work
		want        string
	}{
		"no probes":      {map[int]Work{0: good}, nil, "phase_probes"},
		"other blocks":   {map[int]Work{0: good}, map[int]Work{1: probe}, "no block holds both"},
		"one token":      {map[int]Work{0: probe}, map[int]Work{0: probe}, "two or more"},
		"long probe":     {map[int]Work{0: good}, map[int]Work{0: good}, "not 1"},
		"other prompts":  {map[int]Work{0: good}, map[int]Work{0: {EnergyJ: 40, Requests: 4, PromptTokens: 800, OutputTokens: 4}}, "prompts"},
		"negative":       {map[int]Work{0: good}, map[int]Work{0: {EnergyJ: 140, Requests: 4, PromptTokens: 400, OutputTokens: 4}}, "cannot use nothing"},
		"failed trials":  {map[int]Work{0: {}}, map[int]Work{0: probe}, "no block holds both"},
		"without energy": {map[int]Work{0: good}, map[int]Work{0: {Requests: 4}}, "no block holds both"},
	} {
		s := Subtract(stats.Spec{}, c.full, c.probe)
		if s.Method != "" || !strings.Contains(s.Reason(), c.want) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// square is a ring of 20 ms interval means: 500 W in the first 600 ms of every
// 2 s, 200 W in the rest.
func square(t *testing.T) *energy.Trace {
	t.Helper()
	d := energy.Domain{ID: "gpu", Kind: energy.KindGPU, Reading: energy.ReadingIntervalMean, UpdateNs: 20e6, UnitNum: 1, UnitDen: 1000}
	var s []energy.Sample
	for at := int64(0); at <= 40e9; at += 20e6 {
		power := int64(200e3)
		if (at-1)%2e9 < 600e6 {
			power = 500e3
		}
		s = append(s, energy.Sample{MonoNs: at, Value: power})
	}
	trace, err := energy.NewTrace(d, s, 40e9)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestAlign(t *testing.T) {
	trace := square(t)
	var passes []Span
	for b := int64(2e9); b < 20e9; b += 2e9 {
		passes = append(passes, Span{b, b + 600e6, b + 2e9})
	}
	a, err := Align([]*energy.Trace{trace, trace}, passes)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "prefill", a.PrefillJ, 2*9*300, 1e-9)
	near(t, "decode", a.DecodeJ, 2*9*280, 1e-9)
	if a.PrefillNs != 9*600e6 || a.DecodeNs != 9*1400e6 {
		t.Errorf("%+v", a)
	}
	s := FromAligned(stats.Spec{}, [][]AlignedWork{
		{{Aligned: a, Requests: 9, PromptTokens: 900, OutputTokens: 99}},
		{{Aligned: a, Requests: 9, PromptTokens: 900, OutputTokens: 99}},
	})
	if s.Method != Alignment {
		t.Fatal(s.Reason())
	}
	near(t, "J/prompt token", s.Prefill.Centre, 2*9*300/900.0, 1e-9)
	near(t, "J/output token", s.Decode.Centre, 2*9*280/90.0, 1e-9)
}

func TestAlignRefuses(t *testing.T) {
	traces := []*energy.Trace{square(t)}
	for name, c := range map[string]struct {
		passes []Span
		want   string
	}{
		"not stamped":     {[]Span{{2e9, 0, 4e9}}, "does not stamp"},
		"behind its end":  {[]Span{{2e9, 4e9, 4e9}}, "no time on one side"},
		"too short":       {[]Span{{2e9, 2e9 + 190e6, 4e9}}, "prefill lasts 190 ms, fewer than 10 updates"},
		"decode short":    {[]Span{{2e9, 4e9 - 100e6, 4e9}}, "decode lasts 100 ms"},
		"not recorded":    {[]Span{{50e9, 51e9, 52e9}}, "complete until"},
		"no passes":       {nil, "no passes"},
		"begins too late": {[]Span{{2e9, 1e9, 4e9}}, "no time on one side"},
	} {
		if _, err := Align(traces, c.passes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := FromAligned(stats.Spec{}, [][]AlignedWork{{{Requests: 4, PromptTokens: 4, OutputTokens: 4}}}); s.Method != "" {
		t.Errorf("%+v", s)
	}
}

// design makes points of a server that needs 130 W, 0.4 J a step, 0.02 J a prompt
// token and 0.05 J an output token, with noise relative to the joules.
func design(noise float64, concurrencies ...int) []Point {
	r := rand.New(rand.NewPCG(1, 2))
	points := []Point{{EnergyJ: 1300, TimeS: 10}, {EnergyJ: 3900, TimeS: 30}}
	for _, c := range concurrencies {
		for _, in := range []float64{32, 512, 1024, 2048} {
			for _, out := range []float64{16, 128, 512} {
				requests := 40 * float64(c)
				p := Point{
					Shape: fmt.Sprintf("%d of %v+%v", c, in, out), Concurrency: c,
					Steps: 40 * out, PrefillTokens: requests * in, DecodeTokens: requests * out, ContextTokens: requests * out * (in + out/2),
				}
				p.TimeS = p.Steps*(0.01+1e-5*float64(c)) + p.PrefillTokens*2e-5
				p.EnergyJ = (130*p.TimeS + 0.4*p.Steps + 0.02*p.PrefillTokens + 0.05*p.DecodeTokens) * (1 + noise*r.NormFloat64())
				points = append(points, p)
			}
		}
	}
	return points
}

func TestRegressFindsTheTruth(t *testing.T) {
	f, err := Regress(design(0.002, 1, 8, 64))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "idle", f.IdleW, 130, 0.01)
	near(t, "step", f.StepJ, 0.4, 0.03)
	near(t, "prefill", f.PrefillTokenJ, 0.02, 0.03)
	decode, _ := f.known([parts]float64{partDecode: 1, partContext: 1000})
	near(t, "decode", decode, 0.05, 0.03)
	if f.LeaveOutRel > 0.03 || f.LeaveOutRel < 0.0005 {
		t.Errorf("leave-one-shape-out error %g", f.LeaveOutRel)
	}
	if s := FromFit(stats.Spec{}, f, 1000); len(s.Prefill.Warnings)+len(s.Decode.Warnings) > 0 {
		t.Errorf("all loads: %+v", s.Decode.Warnings)
	}
	f.LeftOut, f.LeftOutWhy = 2, "the engine counts nothing"
	s := FromFit(stats.Spec{Boundary: "b"}, f, 1000)
	if !s.Prefill.Has(stats.CodeIncompleteBlocks) || !s.Decode.Has(stats.CodeIncompleteBlocks) {
		t.Errorf("%+v", s.Decode.Warnings)
	}
	if s.Method != Regression || *s.LeaveOutRel != f.LeaveOutRel || s.Decode.Boundary != "b" {
		t.Errorf("%+v", s)
	}
}

func TestRegressRefuses(t *testing.T) {
	good := design(0.002, 1, 8, 64)
	without := func(drop func(Point) bool) []Point {
		var out []Point
		for _, p := range good {
			if !drop(p) {
				out = append(out, p)
			}
		}
		return out
	}
	changed := func(change func(*Point)) []Point {
		out := append([]Point(nil), good...)
		for i := range out {
			if !out[i].idle() {
				change(&out[i])
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		points []Point
		want   string
	}{
		"few shapes":      {without(func(p Point) bool { return !p.idle() && p.Concurrency != 1 && p.PrefillTokens > 4e5 })[:9], "shapes"},
		"no idle":         {without(Point.idle), "idle_s"},
		"one concurrency": {design(0.002, 8), "one concurrency"},
		"no steps":        {changed(func(p *Point) { p.Steps = 0 }), "count its steps"},
		"singular":        {changed(func(p *Point) { p.DecodeTokens = 3 * p.Steps }), "cannot tell its parts"},
		"correlated":      {changed(func(p *Point) { p.DecodeTokens = p.Steps * (3 + 0.05*math.Sin(p.PrefillTokens)) }), "correlated"},
		"negative":        {changed(func(p *Point) { p.EnergyJ = max(1, 200*p.TimeS+0.4*p.Steps+0.05*p.DecodeTokens-0.003*p.PrefillTokens) }), "below zero"},
		"lack of fit":     {changed(func(p *Point) { p.EnergyJ *= 1 + 0.3*math.Sin(p.PrefillTokens) }), ""},
		"no joules":       {changed(func(p *Point) { p.EnergyJ = math.NaN() }), "NaN"},
	} {
		if _, err := Regress(c.points); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChoose(t *testing.T) {
	b, a := NotAligned("prefill lasts 5 ms"), Split{Method: Subtraction}
	if s := Choose(b, a); s.Method != Subtraction || !strings.Contains(s.Reason(), "B: prefill lasts 5 ms") {
		t.Errorf("%+v", s)
	}
	if s := Choose(b); s.Method != "" || s.Reason() == "" {
		t.Errorf("%+v", s)
	}
}

// What a sensor saw of a phase is not known where it looks at part of the time, or
// nobody knows at how much, be its period stated or seen.
func TestAlignRefusesSensorsThatLookAway(t *testing.T) {
	for name, c := range map[string]struct {
		averagingNs, updateNs int64
		want                  string
	}{
		"part":           {5e6, 20e6, "looks at 25 % of the time"},
		"period seen":    {5e6, 0, "looks at 25 % of the time"},
		"unknown":        {0, 20e6, "nobody knows"},
		"nothing stated": {0, 0, "nobody knows"},
	} {
		d := square(t).Domain
		d.Reading, d.AveragingNs, d.UpdateNs = energy.ReadingInstant, c.averagingNs, c.updateNs
		trace, err := energy.NewTrace(d, square(t).Samples(), 40e9)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := Align([]*energy.Trace{trace}, []Span{{2e9, 2e9 + 600e6, 4e9}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// A pass whose samples are missing has no split, however whole the rest is.
func TestAlignRefusesLostSamples(t *testing.T) {
	d := energy.Domain{ID: "gpu", Kind: energy.KindGPU, Reading: energy.ReadingIntervalMean, UpdateNs: 20e6, UnitNum: 1, UnitDen: 1000}
	var s []energy.Sample
	for at := int64(0); at <= 20e9; at += 20e6 {
		if at%2e9 < 20e6 || at%2e9 > 520e6 { // half a second is lost in each pass
			s = append(s, energy.Sample{MonoNs: at, Value: 300e3})
		}
	}
	trace, err := energy.NewTrace(d, s, 20e9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Align([]*energy.Trace{trace}, []Span{{2e9, 2e9 + 600e6, 4e9}}); err == nil || !strings.Contains(err.Error(), "samples cover") {
		t.Errorf("%v", err)
	}
}
