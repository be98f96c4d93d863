package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/phase"
)

// splitter makes one simulated split of an engine's joules and gives its relative
// errors against what the engine was told to use.
type splitter func(s sensor, r *rand.Rand) (prefill, decode float64, err error)

// phases holds the three ways to split joules between prefill and decode against
// an engine that was told what each takes.
func phases(e effort) (report, error) {
	out := report{notes: []string{phaseNote}}
	all := sensors()
	for k, c := range []struct {
		name   string
		sensor sensor
		split  splitter
	}{
		{"alignment (B), " + all[0].name, all[0], aligned},
		{"alignment (B), " + all[2].name, all[2], aligned},
		{"subtraction (A), " + all[0].name, all[0], subtracted},
		{"subtraction (A), " + all[2].name, all[2], subtracted},
		{"regression (E), outputs of 16 to 256 tokens", all[0], longOutputs.regressed},
	} {
		found, err := each(e.studies/50, 8000+uint64(k), func(r *rand.Rand, _ int) ([2]float64, error) {
			p, d, err := c.split(c.sensor, r)
			return [2]float64{math.Abs(p), math.Abs(d)}, err
		})
		if err != nil {
			return report{}, fmt.Errorf("%s: %w", c.name, err)
		}
		for i, name := range []string{"prefill", "decode"} {
			var off []float64
			for _, f := range found {
				off = append(off, f[i])
			}
			slices.Sort(off)
			f := percent("T2", fmt.Sprintf("error of %s by %s", name, c.name), off[len(off)*95/100]).atMost(3)
			f.note = fmt.Sprintf("worst %.2f %%", 100*off[len(off)-1])
			out.figures = append(out.figures, f)
		}
	}
	refused, err := refusals(e, 8100)
	out.figures = append(out.figures, refused...)
	return out, err
}

const phaseNote = `The error is that which 95 % of the simulated studies stay below. Loads differ by
0.5 % (alignment, subtraction: five of them), those of the regression by 0.2 %. Studies of
the regression go the way of any study: trials are stored, read back and summarised. It is
held against an engine whose energy is the sum that it fits; on a real server lack of fit is
larger than its noise, which the error of a left-out shape tells there. How often it refuses
where loads scatter more is below, with one engine that is no such sum: the truth is then
what its mean output token costs. With outputs of 4 to 16 tokens after prompts of up to 2048,
decoding is too small a part to be told from what it pays for its context, and is refused.`

// batches is an engine with phases long enough to be told apart: 1.2 s and 1.44 s.
var batches = engine{prefillNs: 1200e6, prefillW: 640, steps: 60, stepNs: 24e6, busyShare: 0.7, busyW: 420, restW: 290, tokens: 16 * 61}

const (
	promptTokens = 16 * 2048.0
	requests     = 16.0
)

const loadSpread = 0.005

// aligned is method B: ten passes of each of five loads.
func aligned(s sensor, r *rand.Rand) (prefill, decode float64, err error) {
	const loads, passes = 5, 10
	var works [][]phase.AlignedWork
	for range loads {
		f := 1 + loadSpread*r.NormFloat64()
		w := newWave(10 * second)
		batches.run(w, passes+4, func(int) float64 { return f })
		t, err := s.record(w, w.bounds[0], w.end(), fault{}, r)
		if err != nil {
			return 0, 0, err
		}
		var spans []phase.Span
		for k := range int64(passes) {
			begin := w.bounds[0] + (2+k)*batches.passNs()
			spans = append(spans, phase.Span{BeginNs: begin, PrefillEndNs: begin + batches.prefillNs, EndNs: begin + batches.passNs()})
		}
		a, err := phase.Align([]*energy.Trace{t}, spans)
		if err != nil {
			return 0, 0, err
		}
		works = append(works, []phase.AlignedWork{{Aligned: a, Requests: passes * requests, PromptTokens: passes * promptTokens, OutputTokens: passes * float64(batches.tokens)}})
	}
	return offOf(phase.FromAligned(perToken, works))
}

// subtracted is method A: five blocks of a full trial and its probe.
func subtracted(s sensor, r *rand.Rand) (prefill, decode float64, err error) {
	const blocks, passes = 5, 10
	probe := batches
	probe.steps, probe.tokens = 0, int(requests)
	full, one := map[int]phase.Work{}, map[int]phase.Work{}
	for b := range blocks {
		for _, c := range []struct {
			e  engine
			to map[int]phase.Work
		}{{batches, full}, {probe, one}} {
			f := 1 + loadSpread*r.NormFloat64()
			m, err := trial(s, c.e, 10*second, 1, passes, func(int) float64 { return f }, fault{}, r)
			if err != nil {
				return 0, 0, err
			}
			c.to[b] = phase.Work{EnergyJ: m[0].window.EnergyJ, Requests: passes * requests, PromptTokens: passes * promptTokens, OutputTokens: m[0].tokens}
		}
	}
	return offOf(phase.Subtract(perToken, full, one))
}

// offOf holds a split of batches against the truth.
func offOf(s phase.Split) (prefill, decode float64, err error) {
	if s.Method == "" {
		return 0, 0, fmt.Errorf("no split: %s", s.Reason())
	}
	return s.Prefill.Centre/(batches.prefillJ()/promptTokens) - 1,
		s.Decode.Centre/(batches.decodeJ()/(float64(batches.tokens)-requests)) - 1, nil
}
