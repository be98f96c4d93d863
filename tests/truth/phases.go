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
		{"regression (E), " + all[0].name, all[0], regressed},
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
	return out, nil
}

const phaseNote = `The error is that which 95 % of the simulated studies stay below. Loads differ by
0.5 % (alignment, subtraction: five of them), windows of the regression by 0.2 %. The
regression is held against an engine whose energy is the sum that it fits; on a real server
lack of fit is larger than its noise, which the error of a left-out shape tells there.`

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

// regressed is method E, over three prompt lengths, three output lengths and three
// concurrencies, with an idle stretch.
func regressed(s sensor, r *rand.Rand) (prefill, decode float64, err error) {
	const (
		idleW, stepJ           = 120.0, 2.0
		prefillTokJ, decodeTok = 0.03, 0.12
	)
	var points []phase.Point
	measure := func(e engine, p phase.Point, passes int) error {
		m, err := trial(s, e, 10*second, 1, passes, func(int) float64 { return 1 + 0.002*r.NormFloat64() }, fault{}, r)
		if err != nil {
			return err
		}
		p.EnergyJ, p.TimeS = m[0].window.EnergyJ, m[0].window.DurationS()
		points = append(points, p)
		return nil
	}
	for _, prompt := range []float64{64, 512, 2048} {
		for _, output := range []float64{16, 64, 256} {
			for _, concurrency := range []float64{1, 8, 32} {
				e := engine{
					prefillNs: int64(15e6 + 20e3*prompt*concurrency), steps: int(output) - 1,
					stepNs: int64(12e6 + 0.2e6*concurrency), busyShare: 1,
				}
				e.prefillW = idleW + (stepJ+prefillTokJ*prompt*concurrency)/(float64(e.prefillNs)/1e9)
				e.busyW = idleW + (stepJ+decodeTok*concurrency)/(float64(e.stepNs)/1e9)
				passes := 1 + int(10*second/e.passNs())
				n := float64(passes)
				p := phase.Point{
					Shape: fmt.Sprintf("%g/%g/%g", prompt, output, concurrency), Concurrency: int(concurrency),
					Steps: n * output, PrefillTokens: n * prompt * concurrency, DecodeTokens: n * (output - 1) * concurrency,
				}
				if err := measure(e, p, passes); err != nil {
					return 0, 0, err
				}
			}
		}
	}
	for range 3 {
		if err := measure(engine{prefillNs: second, prefillW: idleW}, phase.Point{}, 10); err != nil {
			return 0, 0, err
		}
	}
	f, err := phase.Regress(points)
	return f.PrefillTokenJ/prefillTokJ - 1, f.DecodeTokenJ/decodeTok - 1, err
}
