package phase

import (
	"math"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// A few samples lost in the decode of one pass leave a split, and the decode alone
// says so, down to the estimate.
func TestAlignedCarriesItsWarnings(t *testing.T) {
	whole := square(t)
	var s []energy.Sample
	for _, x := range whole.Samples() {
		if x.MonoNs <= 4.9e9 || x.MonoNs > 4.96e9 { // 60 of 3400 ms
			s = append(s, x)
		}
	}
	trace, err := energy.NewTrace(whole.Domain, s, 40e9)
	if err != nil {
		t.Fatal(err)
	}
	var passes []Span
	for b := int64(2e9); b < 20e9; b += 4e9 {
		passes = append(passes, Span{b, b + 600e6, b + 4e9})
	}
	a, err := Align([]*energy.Trace{trace}, passes)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.PrefillWarnings) != 0 || len(a.DecodeWarnings) != 1 || a.DecodeWarnings[0].Code != energy.CodeSampleGap {
		t.Fatalf("prefill %+v, decode %+v", a.PrefillWarnings, a.DecodeWarnings)
	}
	if !strings.HasPrefix(a.DecodeWarnings[0].Message, "decode, 1 of 5 windows of its own: ") {
		t.Errorf("%q", a.DecodeWarnings[0].Message)
	}
	if !(a.PrefillEdgeRel > 0) || !(a.DecodeEdgeRel > 0) || a.PrefillEdgeRel > 0.05 {
		t.Errorf("edges: prefill %g, decode %g", a.PrefillEdgeRel, a.DecodeEdgeRel)
	}
	one := FromAligned(stats.Spec{}, [][]AlignedWork{{{Aligned: a, Requests: 9, PromptTokens: 900, OutputTokens: 99}}})
	if one.Method != Alignment {
		t.Fatal(one.Reason())
	}
	if one.Prefill.Has(energy.CodeSampleGap) || !one.Decode.Has(energy.CodeSampleGap) {
		t.Errorf("prefill %+v, decode %+v", one.Prefill.Warnings, one.Decode.Warnings)
	}
	if e := one.Decode; e.Method != stats.MethodModelledEdge || e.RandomRel == nil || math.Abs(*e.RandomRel/(1.96*a.DecodeEdgeRel)-1) > 1e-3 {
		t.Errorf("%+v", e)
	}
}

// Intervals that reach zero are printed in the reason, as they are, and no value
// with a bound below zero comes out; one load has no interval to reach it.
func TestIntervalsThatReachZeroAreRefused(t *testing.T) {
	aligned := func(joules ...float64) (loads [][]AlignedWork) {
		for _, j := range joules {
			loads = append(loads, []AlignedWork{{Aligned: Aligned{PrefillJ: 10, DecodeJ: j}, Requests: 1, PromptTokens: 10, OutputTokens: 11}})
		}
		return loads
	}
	subtracted := func(joules ...float64) Split {
		full, probe := map[int]Work{}, map[int]Work{}
		for b, j := range joules {
			full[b] = Work{EnergyJ: 10 + j, Requests: 1, PromptTokens: 10, OutputTokens: 11}
			probe[b] = Work{EnergyJ: 10, Requests: 1, PromptTokens: 10, OutputTokens: 1}
		}
		return Subtract(stats.Spec{}, full, probe)
	}
	for _, split := range []func(...float64) Split{subtracted, func(j ...float64) Split { return FromAligned(stats.Spec{}, aligned(j...)) }} {
		below := split(1, 3) // a mean of 0.2 J/token, known to ±1.27
		if below.Method != "" || !strings.Contains(below.Reason(), "decode_energy_per_output_token is not resolved: [-1.07, 1.47]") {
			t.Errorf("%+v: %s", below, below.Reason())
		}
		if s := split(9, 10, 11); s.Method == "" || !(*s.Decode.Lo > 0) {
			t.Errorf("%+v: %s", s.Decode, s.Reason())
		}
		if s := split(2); s.Method == "" || s.Decode.HasInterval() {
			t.Errorf("one load: %+v: %s", s.Decode, s.Reason())
		}
		if s := split(-1, -3); s.Method != "" || !strings.Contains(s.Reason(), "cannot use nothing") {
			t.Errorf("below zero: %+v", s)
		}
	}
}
