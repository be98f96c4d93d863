package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
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
		of := ""
		if len(labels) < len(p.s.Cells) {
			of = " of " + some(labels)
		}
		if len(sources) == 0 {
			sources = []string{"source unknown"}
		}
		lead := "energy" + of + ": "
		for _, s := range sources {
			// Why the source was chosen has several parts: the first is enough
			// beside its name, the others follow.
			short, rest, long := strings.Cut(s, "; ")
			if long {
				short, rest = short+")", strings.TrimSuffix(rest, ")")
			}
			p.within(footerWidth, "%s%s", lead, short)
			if long {
				p.within(footerWidth, "  %s", rest)
			}
			lead = "  and "
		}
		p.paragraph("  covers %s%s", g.Boundary, map[bool]string{true: "; ≈ marks modelled joules"}[estimated])
	}
	if f := p.s.Factors; f != nil && (f.GridGPerKWh != nil || f.TariffPerKWh != nil) {
		p.paragraph("factors: %s (configured, not measured)", f.text())
	}
}

// footerWidth is where long explanations are wrapped that go to no terminal.
const footerWidth = 100

// some names the first labels and counts the others.
func some(labels []string) string {
	const most = 4
	if len(labels) <= most+1 {
		return strings.Join(labels, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(labels[:most], ", "), len(labels)-most)
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
	p.within(footerWidth, "uncertainty:%s", p.coverage())
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
		p.paragraph("  %-*s  %s J/token %s", width, c.Label, c.mark(centre(e, true)), errorText(e, c.boundsOf()))
	}
}

// errorText is "±0.4 % (repeat) ±5 % (sensor)", with the bounds' origin for sensor.
func errorText(e stats.Estimate, bounds string) string {
	var random string
	switch {
	case e.Method == stats.MethodT && e.RandomRel != nil && e.Has(stats.CodeSingleLoad):
		random = "±" + stats.Percent(*e.RandomRel) + " (within one load)"
	case e.Method == stats.MethodT && e.RandomRel != nil:
		random = "±" + stats.Percent(*e.RandomRel) + " (repeat)"
	case e.Method == stats.MethodModelledEdge && e.RandomRel != nil:
		random = "no interval from one load, ±" + stats.Percent(*e.RandomRel) + " (modelled)"
	default:
		random = "no interval from one load"
	}
	if e.SystematicRel == nil {
		return random + ", systematic error not stated"
	}
	return random + " ±" + stats.Percent(*e.SystematicRel) + " (" + bounds + ")"
}

// comparisons prints ratios to each group's baseline where they mean something, and
// why there is none for the other cells.
func (p *printer) comparisons() {
	said := false
	for _, g := range p.s.Groups {
		for i, c := range g.Comparisons {
			if i == 0 && !said {
				p.line("")
				p.within(footerWidth, "J/token as a ratio to %s (%s; mean over blocks; below 1 is better):", c.Baseline, g.BaselineBy.text())
			} else if i == 0 {
				p.within(footerWidth, "as a ratio to %s (%s):", c.Baseline, g.BaselineBy.text())
			}
			said = true
			if c.Lo == nil || c.Hi == nil {
				p.paragraph("  %s / %s: not compared: %s%s", c.Candidate, c.Baseline, reason(c), basis(c))
				continue
			}
			mark := ""
			if p.s.Cells[g.Cells[0]].Estimated { // as all of its boundary
				mark = "≈"
			}
			d := min(3, decimals(stats.Estimate{Centre: c.Ratio, Lo: c.Lo, Hi: c.Hi}))
			ratio := fmt.Sprintf("%s / %s = %s%s× [%s, %s]", c.Candidate, c.Baseline, mark, digits(c.Ratio, d), digits(*c.Lo, d), digits(*c.Hi, d))
			if c.Resolved {
				p.paragraph("  %s (%d blocks, p = %s)%s", ratio, c.N, pText(c), basis(c))
				continue
			}
			floor := ""
			if c.MDDRel != nil {
				floor = "; these " + strconv.Itoa(c.N) + " blocks would show one of " + difference(*c.MDDRel) + " or more"
			}
			p.paragraph("  %s, no difference resolved%s%s", ratio, floor, basis(c))
		}
		p.optimism(g)
	}
	p.notCompared(said)
}

// basis says which blocks a ratio is of where a row beside it is of others.
func basis(c stats.Comparison) string {
	for _, w := range c.Warnings {
		if w.Code == stats.CodeIncompleteBlocks {
			return "; of " + stats.BlockText(c.Blocks) + " only, the rows hold others, too"
		}
	}
	return ""
}

// optimism warns of the first row of many: that it came out lowest is partly luck.
func (p *printer) optimism(g Group) {
	if ranked := len(g.Comparisons) + 1; ranked >= 3 {
		p.within(footerWidth, "  %s is the lowest of %d cells, partly by luck (the best of many is optimistic): measure it again", p.s.Cells[g.Cells[0]].Label, ranked)
	}
}

// difference is in percent as long as anybody reads it so.
func difference(rel float64) string {
	if rel >= 10 {
		return stats.TwoDigits(1+rel) + " times"
	}
	return stats.Percent(rel)
}

// notCompared prints each reason once, with its cells. Cells without any trial
// to use have their lines among the failures.
func (p *printer) notCompared(said bool) {
	var reasons []string
	labels := map[string][]string{}
	for _, c := range p.s.Cells {
		if c.NotCompared == "" || c.Trials == 0 {
			continue
		}
		if labels[c.NotCompared] == nil {
			reasons = append(reasons, c.NotCompared)
		}
		labels[c.NotCompared] = append(labels[c.NotCompared], c.Label)
	}
	if len(reasons) > 0 && !said {
		p.line("")
	}
	for _, why := range reasons {
		of := ""
		if len(labels[why]) < len(p.s.Cells) {
			of = " (" + some(labels[why]) + ")"
		}
		p.paragraph("not compared%s: %s", of, OneLine(why))
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
		p.paragraph("random weights: %s", p.cells(random))
	}
	if len(grouped) > 0 {
		p.paragraph("one load each (first look, not ranked): %s", p.cells(grouped))
	}
}

func (p *printer) cells(labels []string) string {
	if len(labels) == len(p.s.Cells) {
		return "all cells"
	}
	return some(labels)
}

// failures prints every trial that gave no number.
func (p *printer) failures() {
	for _, x := range p.s.Excluded {
		p.paragraph("%s %s, block %d: %s", p.color(red, "excluded"), x.Label, x.Block+1, strings.Join(x.Codes, ", "))
	}
	for _, f := range p.s.Failed {
		p.paragraph("%s %s, block %d, %s: %s (%s)", p.color(red, "failed"), f.Label, f.Block+1, f.Phase, OneLine(f.Message), f.Code)
		if f.Advice != "" {
			p.paragraph("  try: %s", OneLine(f.Advice))
		}
		p.line("  log: %s", filepath.Join(p.s.Dir, filepath.FromSlash(f.Log)))
	}
	for _, f := range p.s.Interrupted {
		p.paragraph("%s %s, block %d, in %s: it has no result, and is no failure", p.color(yellow, "interrupted"), f.Label, f.Block+1, f.Phase)
		p.line("  log: %s", filepath.Join(p.s.Dir, filepath.FromSlash(f.Log)))
	}
	for _, problem := range p.s.Problems {
		p.paragraph("%s %s: %s", p.color(red, "problem"), problem.Code, OneLine(problem.Message))
	}
}

// warnings are grouped by code; of the notes those that bear on reading the table
// are written out, and the others named.
func (p *printer) warnings() {
	var notes []string
	for _, w := range p.s.Warnings {
		kind, color := string(w.Severity), yellow
		switch {
		case w.Code == "random_weights": // has a line of its own
			continue
		case w.Code == stats.CodeBelowZero:
			kind, color = "note", bold
		case w.Severity == energy.SeverityInfo:
			notes = append(notes, w.Code)
			continue
		case w.Severity == energy.SeverityFatal:
			color = red
		}
		about := ""
		if w.varied { // which one the message is
			if about = "for example"; w.Weighed {
				about = "worst"
			}
			if len(w.Cells) > 1 && w.Cell != "" {
				about += " in " + w.Cell
			}
			about += ": "
		}
		p.paragraph("%s %s%s: %s%s", p.color(color, kind), w.Code, p.where(w), about, OneLine(w.Message))
	}
	if len(notes) > 0 {
		p.paragraph("notes in summary.json: %s", strings.Join(notes, ", "))
	}
}

// where says how far a warning reaches: " (in 5 of 6 trials)" if trials gave it,
// else in how many cells, which are named unless it is all.
func (p *printer) where(w Warning) string {
	if len(w.Cells) == 0 {
		return ""
	}
	text := fmt.Sprintf("in %d of %d cells", len(w.Cells), len(p.s.Cells))
	if w.Trials > 0 {
		all := 0
		for _, c := range p.s.Cells {
			all += c.Trials + c.Excluded + c.Failed + c.Interrupted
		}
		for _, c := range p.s.Probes {
			all += c.Trials + c.Excluded + c.Failed + c.Interrupted
		}
		text = fmt.Sprintf("in %d of %d trials", w.Trials, all)
	}
	if len(w.Cells) < len(p.s.Cells) {
		text += ": " + some(w.Cells)
	}
	return " (" + text + ")"
}
