package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// energy says, for each boundary, what its joules cover and how they were got.
func (p *printer) energy() {
	p.line("")
	shown := map[string]bool{}
	for _, g := range p.s.Groups {
		if shown[g.Boundary] || g.Boundary == "" {
			continue
		}
		shown[g.Boundary] = true
		var sources, labels []string
		estimated := false
		for _, c := range p.s.Cells {
			if c.Boundary != g.Boundary {
				continue
			}
			estimated = estimated || c.Estimated
			labels = append(labels, c.Label)
			for _, s := range c.Sources {
				if !slices.Contains(sources, s) {
					sources = append(sources, s)
				}
			}
		}
		text := strings.Join(sources, "; ")
		if text == "" {
			text = "source unknown"
		}
		of := ""
		if len(labels) < len(p.s.Cells) {
			of = " of " + strings.Join(labels, ", ")
		}
		p.line("energy%s: %s", of, text)
		p.line("  covers %s%s", g.Boundary, map[bool]string{true: "; ≈ marks modelled joules"}[estimated])
	}
	if f := p.s.Factors; f != nil {
		p.line("factors: %s (configured, not measured)", f.text())
	}
}

func (f *Factors) text() string {
	var parts []string
	if f.GridGPerKWh != nil {
		parts = append(parts, fmt.Sprintf("grid %g gCO2e/kWh", *f.GridGPerKWh))
	}
	if f.TariffPerKWh != nil {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("tariff %g %s", *f.TariffPerKWh, f.Currency))+"/kWh")
	}
	if f.PUE != nil {
		parts = append(parts, fmt.Sprintf("PUE %g", *f.PUE))
	} else {
		parts = append(parts, "no PUE")
	}
	return strings.Join(parts, ", ")
}

// mostUncertainties are written out; the rest is in the files.
const mostUncertainties = 12

// uncertainty prints the random and the systematic part beside each other.
func (p *printer) uncertainty() {
	width, count := 0, 0
	for _, c := range p.s.Cells {
		if _, ok := c.Estimate(MetricEnergyPerToken); ok {
			width = max(width, len([]rune(c.Label)))
			count++
		}
	}
	if count == 0 {
		return
	}
	p.line("uncertainty:")
	printed := 0
	for _, c := range p.s.Cells {
		e, ok := c.Estimate(MetricEnergyPerToken)
		if !ok {
			continue
		}
		if printed == mostUncertainties {
			p.line("  ... of %d more cells in summary.csv", count-printed)
			return
		}
		printed++
		p.line("  %-*s  %s J/token %s", width, c.Label, c.mark(centre(e, true)), errorText(e))
	}
}

// errorText is "±0.4 % (repeat) ±5 % (sensor)".
func errorText(e stats.Estimate) string {
	var random string
	switch {
	case e.Method == stats.MethodT && e.RandomRel != nil && e.Has(stats.CodeSingleLoad):
		random = "±" + percent(*e.RandomRel) + " (within one load)"
	case e.Method == stats.MethodT && e.RandomRel != nil:
		random = "±" + percent(*e.RandomRel) + " (repeat)"
	case e.Method == stats.MethodModelledEdge && e.RandomRel != nil:
		random = "no interval from one load, ±" + percent(*e.RandomRel) + " (edges, modelled)"
	default:
		random = "no interval from one load"
	}
	if e.SystematicRel == nil {
		return random + ", sensor error not stated"
	}
	return random + " ±" + percent(*e.SystematicRel) + " (sensor)"
}

// comparisons prints ratios to the best cell, where they mean something.
func (p *printer) comparisons() {
	for _, g := range p.s.Groups {
		for _, c := range g.Comparisons {
			if c.Lo == nil || c.Hi == nil {
				p.line("%s and %s are not compared: %s", c.Candidate, c.Baseline, reason(c))
				continue
			}
			ratio := fmt.Sprintf("%s× [%s, %s]", digits(c.Ratio, 3), digits(*c.Lo, 3), digits(*c.Hi, 3))
			if c.Resolved {
				p.line("%s needs %s the energy per token of %s (%d blocks, p = %s)", c.Candidate, ratio, c.Baseline, c.N, pText(c))
				continue
			}
			floor := ""
			if c.MDDRel != nil {
				floor = "; a difference above " + percent(*c.MDDRel) + " would show"
			}
			p.line("%s and %s: no difference resolved, %s (%d blocks)%s", c.Candidate, c.Baseline, ratio, c.N, floor)
		}
		if g.NotCompared != "" {
			p.line("not compared: %s", g.NotCompared)
		}
	}
}

func reason(c stats.Comparison) string {
	if len(c.Warnings) == 0 {
		return "the ratio has no interval"
	}
	return c.Warnings[0].Message
}

func pText(c stats.Comparison) string {
	p := c.P
	if c.PAdjusted != nil {
		p = c.PAdjusted
	}
	if p == nil {
		return "unknown"
	}
	return fmt.Sprintf("%.2g", *p)
}

// labels says what kind of numbers these are.
func (p *printer) labels() {
	var random, grouped []string
	for _, c := range p.s.Cells {
		if c.RandomWeights {
			random = append(random, c.Label)
		}
		if c.Grouped {
			grouped = append(grouped, c.Label)
		}
	}
	if len(random) > 0 {
		p.line("random weights: %s", p.cells(random))
	}
	if len(grouped) > 0 {
		p.line("one load each (first look, not ranked): %s", p.cells(grouped))
	}
}

func (p *printer) cells(labels []string) string {
	if len(labels) == len(p.s.Cells) {
		return "all cells"
	}
	return strings.Join(labels, ", ")
}

// failures prints every trial that gave no number.
func (p *printer) failures() {
	for _, x := range p.s.Excluded {
		p.line("%s %s, block %d: %s", p.color(red, "excluded"), x.Label, x.Block+1, strings.Join(x.Codes, ", "))
	}
	for _, f := range p.s.Failed {
		p.line("%s %s, block %d, %s: %s (%s)", p.color(red, "failed"), f.Label, f.Block+1, f.Phase, oneLine(f.Message), f.Code)
		if f.Advice != "" {
			p.line("  try: %s", oneLine(f.Advice))
		}
		p.line("  log: %s", filepath.Join(p.s.Dir, filepath.FromSlash(f.Log)))
	}
	for _, problem := range p.s.Problems {
		p.line("%s %s", p.color(red, "problem"), oneLine(problem))
	}
}

// oneLine keeps what a plugin says from breaking the layout or steering the
// terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// warnings are grouped by code; notes only counted.
func (p *printer) warnings() {
	var notes []string
	for _, w := range p.s.Warnings {
		if w.Severity == energy.SeverityInfo {
			notes = append(notes, fmt.Sprintf("%s (%d)", w.Code, w.Count))
			continue
		}
		color := yellow
		if w.Severity == energy.SeverityFatal {
			color = red
		}
		where := ""
		if len(w.Cells) > 0 {
			where = ", " + p.cells(w.Cells)
		}
		p.line("%s %s (%d%s): %s", p.color(color, string(w.Severity)), w.Code, w.Count, where, oneLine(w.Message))
	}
	if len(notes) > 0 {
		p.line("notes in summary.json: %s", strings.Join(notes, ", "))
	}
}
