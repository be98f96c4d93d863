package phase

import (
	"math"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// Passes of 1.0107 s: 300 W for 0.4 s, then 200 W, back to back or with a pause of 20
// W. Power steps at another place of the readings each time.
func stepping(t *testing.T, reading energy.Reading, pauseNs int64) (*energy.Trace, []Span) {
	t.Helper()
	const every, prefill, decode = int64(10e6), int64(400e6), int64(610.7e6)
	length := prefill + decode + pauseNs
	// joules since time 0
	joules := func(at int64) float64 {
		whole, part := at/length, at%length
		j := float64(whole) * (0.4*300 + 0.6107*200 + float64(pauseNs)/1e9*20)
		return j + float64(min(part, prefill))/1e9*300 + float64(min(max(part-prefill, 0), decode))/1e9*200 + float64(max(part-prefill-decode, 0))/1e9*20
	}
	d := energy.Domain{ID: "gpu", Kind: energy.KindGPU, Reading: reading, UpdateNs: every, UnitNum: 1, UnitDen: 1e6}
	var s []energy.Sample
	for at := every; at <= 40e9; at += every {
		value := joules(at)
		switch reading {
		case energy.ReadingIntervalMean:
			value = (value - joules(at-every)) / (float64(every) / 1e9)
		case energy.ReadingInstant:
			d.AveragingNs = every
			value = (value - joules(at-1000)) / 1e-6
		}
		s = append(s, energy.Sample{MonoNs: at, Value: int64(math.Round(value * 1e6))})
	}
	trace, err := energy.NewTrace(d, s, 40e9)
	if err != nil {
		t.Fatal(err)
	}
	var passes []Span
	for b := length; b+length < 39e9; b += length {
		passes = append(passes, Span{b, b + prefill, b + prefill + decode})
	}
	return trace, passes
}

// What steps of power move between the phases is the same in every pass, and is
// held by the bound that is stated for it.
func TestStepsOfPowerAreBounded(t *testing.T) {
	for _, reading := range []energy.Reading{energy.ReadingCounter, energy.ReadingIntervalMean, energy.ReadingInstant} {
		for _, pauseNs := range []int64{0, 150e6} {
			trace, passes := stepping(t, reading, pauseNs)
			a, err := Align([]*energy.Trace{trace}, passes)
			if err != nil {
				t.Fatal(err)
			}
			n := float64(len(passes))
			for _, c := range []struct {
				name       string
				got, truth float64
				bound      float64
			}{{"prefill", a.PrefillJ, n * 120, a.PrefillStepRel}, {"decode", a.DecodeJ, n * 122.14, a.DecodeStepRel}} {
				off := math.Abs(c.got/c.truth - 1)
				if off > c.bound {
					t.Errorf("%s, pause of %d ms: %s is %.4f off and the bound is %.4f", reading, pauseNs/1e6, c.name, off, c.bound)
				}
				// Beside a pause prefill loses at both edges, decode at one only.
				if (pauseNs == 0 || c.name == "prefill") && off < c.bound/4 {
					t.Errorf("%s, pause of %d ms: %s is %.4f off and the bound is as wide as %.4f", reading, pauseNs/1e6, c.name, off, c.bound)
				}
			}
		}
	}
}

// The bound adds to the sensor's, and stands alone where the sensor states none.
func TestStepsAreSystematic(t *testing.T) {
	trace, passes := stepping(t, energy.ReadingCounter, 0)
	a, err := Align([]*energy.Trace{trace}, passes)
	if err != nil {
		t.Fatal(err)
	}
	w := AlignedWork{Aligned: a, Requests: 9, PromptTokens: 900, OutputTokens: 99}
	worse := w
	worse.PrefillStepRel *= 2
	five := 0.05
	for _, c := range []struct {
		sensor *float64
		add    float64
	}{{nil, 0}, {&five, 0.05}} {
		s := FromAligned(stats.Spec{SystematicRel: c.sensor}, [][]AlignedWork{{w, worse}, {w, w}})
		if s.Method != Alignment {
			t.Fatal(s.Reason())
		}
		near(t, "prefill", *s.Prefill.SystematicRel, c.add+worse.PrefillStepRel, 1e-12)
		near(t, "decode", *s.Decode.SystematicRel, c.add+w.DecodeStepRel, 1e-12)
	}
	if five != 0.05 {
		t.Error("the sensor's own bound was changed")
	}
}
