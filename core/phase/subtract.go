package phase

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/stats"
)

// Work is one load's joules with the tokens that they were spent on.
type Work struct {
	EnergyJ      float64
	Requests     float64
	PromptTokens float64
	OutputTokens float64
}

// mostMismatch is how far the tokens counted in a window may differ from those
// of its requests: a closed loop counts them by their own stamps, and a window
// beyond this is not ranked.
const mostMismatch = 0.01

func (w Work) usable() bool {
	return w.EnergyJ > 0 && w.Requests > 0 && w.PromptTokens > 0 && w.OutputTokens > 0
}

// Subtract is method A: full and probe hold, by block, the work of a cell and of
// its probe, the same cell with one output token. Prefill is the probe's joules;
// decode is what the full trial needs beyond them, over its tokens after the
// first (optimum-benchmark subtracts likewise). Blocks that lack either are left
// out, and said: a pair shares temperature and card.
//
// What it cannot see: a fixed cost of each call counts as prefill, and the probe
// runs at clocks and a temperature of its own.
func Subtract(spec stats.Spec, full, probe map[int]Work) Split {
	if len(probe) == 0 {
		return refuse(Subtraction, "no probe trials; protocol.phase_probes = true makes them")
	}
	var prefill, decode [][]float64
	for _, block := range slices.Sorted(maps.Keys(full)) {
		f, p := full[block], probe[block]
		if !f.usable() || !p.usable() {
			continue
		}
		later := f.OutputTokens/f.Requests - 1
		if later < 1 {
			return refuse(Subtraction, "requests have %.3g output tokens; decode needs two or more", later+1)
		}
		if a, b := f.PromptTokens/f.Requests, p.PromptTokens/p.Requests; math.Abs(a-b) > mostMismatch*a {
			return refuse(Subtraction, "the probe's prompts have %.4g tokens and the cell's %.4g", b, a)
		}
		if one := p.OutputTokens / p.Requests; math.Abs(one-1) > mostMismatch {
			return refuse(Subtraction, "the probe gave %.4g output tokens a request, not 1", one)
		}
		perRequest := p.EnergyJ / p.Requests
		prefill = append(prefill, []float64{perRequest / (p.PromptTokens / p.Requests)})
		decode = append(decode, []float64{(f.EnergyJ/f.Requests - perRequest) / later})
	}
	if len(prefill) == 0 {
		return refuse(Subtraction, "no block holds both the cell and its probe")
	}
	forPrefill, forDecode := specs(spec)
	s := summarized(Subtraction, forPrefill, prefill, forDecode, decode)
	if left := blocksOf(full, probe) - len(prefill); left > 0 && s.Method != "" {
		for _, e := range []*stats.Estimate{s.Prefill, s.Decode} {
			e.Warnings = append(e.Warnings, stats.Warning{Code: stats.CodeIncompleteBlocks,
				Message: fmt.Sprintf("%d blocks lack the joules of the cell or of its probe and are left out", left)})
		}
	}
	return s
}

// blocksOf counts the blocks that either ran in.
func blocksOf(full, probe map[int]Work) int {
	n := len(full)
	for block := range probe {
		if _, both := full[block]; !both {
			n++
		}
	}
	return n
}

// NotSubtracted is method A's Split of a cell that cannot have a probe.
func NotSubtracted(reason string) Split { return refuse(Subtraction, "%s", reason) }

// summarized makes the two estimates of values by load, or refuses joules that
// are none.
func summarized(m Method, forPrefill stats.Spec, prefill [][]float64, forDecode stats.Spec, decode [][]float64) Split {
	p, err := stats.SummarizeLoads(forPrefill, prefill)
	if err != nil {
		return refuse(m, "%v", err)
	}
	d, err := stats.SummarizeLoads(forDecode, decode)
	if err != nil {
		return refuse(m, "%v", err)
	}
	if p.Centre <= 0 || d.Centre <= 0 {
		return refuse(m, "prefill comes to %.3g and decode to %.3g J/token; a phase cannot use nothing", p.Centre, d.Centre)
	}
	for _, e := range []stats.Estimate{p, d} {
		if e.HasInterval() && *e.Lo <= 0 {
			return refuse(m, "%s is not resolved: [%.3g, %.3g] J/token; more cycles, or longer outputs", e.Metric, *e.Lo, *e.Hi)
		}
	}
	return Split{Method: m, Prefill: &p, Decode: &d}
}
