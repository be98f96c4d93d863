package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/stats"
)

// phaseMetrics of a cell, in the order in which they are shown.
var phaseMetrics = []string{phase.MetricPrefill, phase.MetricDecode}

// phaseEstimates are the two of the chosen method, or none.
func (c Cell) phaseEstimates() []stats.Estimate {
	if c.Phase == nil || c.Phase.Method == "" {
		return nil
	}
	return []stats.Estimate{*c.Phase.Prefill, *c.Phase.Decode}
}

// phases prints the joules of the cells that have them by phase.
func (p *printer) phases() {
	var with []Cell
	for _, c := range p.s.Cells {
		if len(c.phaseEstimates()) > 0 {
			with = append(with, c)
		}
	}
	if len(with) == 0 {
		return
	}
	p.line("")
	p.paragraph("energy by phase (method A: probe trials, B: stamps in each pass, E: fit over many shapes)")
	marginal := func(c Cell) bool { return c.Phase.Method == phase.Regression }
	average := func(c Cell) bool { return !marginal(c) }
	bounds := "[95 %]"
	switch {
	case !slices.ContainsFunc(with, average):
		bounds = "[bounds]"
	case slices.ContainsFunc(with, marginal):
		bounds = "[95 %; E: bounds]"
		p.within(footerWidth, "average: all joules of the phase over its tokens; marginal: what one token more costs, beside idle power and engine steps. The two are not to be compared")
	}
	p.tabulate(filled(phaseColumns(bounds), with), with)
	said := map[string]bool{}
	for _, c := range with {
		f := c.Phase.Fit
		if f == nil {
			continue
		}
		text := fmt.Sprintf("E: marginal joules at the shapes sampled, beside %s W over the whole time and %s J for each engine step; %s J of an output token for each 1000 tokens before it; from %d shapes, the worst predicted one %s; its bounds come from shapes left out and are no 95 %% interval",
			significant(f.IdleW), significant(f.StepJ), significant(1000*f.ContextTokenJ), f.Shapes, f.LeaveOutShape)
		if !said[text] {
			p.within(footerWidth, "%s", text)
		}
		said[text] = true
	}
}

// significant has three digits.
func significant(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// noPhases says in one line which cells have no phases, since each method has its
// own reason, and what there was of probes.
func (p *printer) noPhases() {
	var without []Cell
	var labels []string
	for _, c := range p.s.Cells {
		if c.Phase != nil && c.Phase.Method == "" {
			without, labels = append(without, c), append(labels, c.Label)
		}
	}
	if len(without) > 0 {
		of, hint := "", ""
		if len(without) < len(p.s.Cells) {
			of = " of " + some(labels)
		}
		if len(p.s.Probes) == 0 {
			hint = "protocol.phase_probes = true may give it; "
		}
		p.paragraph("no energy by phase%s (%sthe reasons are in summary.csv)", of, hint)
		// A study that was made for it wants to know; others did not ask.
		if len(p.s.Probes) > 0 || len(p.s.Cells) >= phase.LeastShapes {
			p.refusals(without)
		}
	}
	if trials, excluded, failed := p.probeCounts(); trials+excluded+failed > 0 {
		p.paragraph("probe trials, in no ranking: %d used, %d excluded, %d failed", trials, excluded, failed)
	}
}

// refusals says why each method gave nothing, by the first of the cells without phases.
func (p *printer) refusals(without []Cell) {
	first := without[0]
	for _, method := range slices.Sorted(maps.Keys(first.Phase.Refused)) {
		why, where := first.Phase.Refused[method], ""
		if slices.ContainsFunc(without, func(c Cell) bool { return c.Phase.Refused[method] != why }) {
			where = ", for example in " + first.Label
		}
		p.within(footerWidth, "  %s%s: %s", method, where, why)
	}
}

func phaseColumns(bounds string) []column {
	of := func(k int) func(Cell) string {
		return func(c Cell) string {
			list := c.phaseEstimates()
			return c.mark(interval(list[k], true))
		}
	}
	return []column{
		{head: "cell", value: func(c Cell) string { return c.Label }},
		{head: "prefill J/prompt token " + bounds, value: of(0)},
		{head: "decode J/output token " + bounds, value: of(1)},
		{head: "method", value: func(c Cell) string { return string(c.Phase.Method) }},
		{head: "joules", value: func(c Cell) string {
			if c.Phase.Method == phase.Regression {
				return "marginal"
			}
			return "average"
		}},
		{head: "error on an unseen shape", rank: 1, value: func(c Cell) string {
			if c.Phase.LeaveOutRel == nil {
				return missing
			}
			return stats.Percent(*c.Phase.LeaveOutRel)
		}},
	}
}

func (p *printer) probeCounts() (trials, excluded, failed int) {
	for _, x := range p.s.Probes {
		trials, excluded, failed = trials+x.Trials, excluded+x.Excluded, failed+x.Failed
	}
	return trials, excluded, failed
}
