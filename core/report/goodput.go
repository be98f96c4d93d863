package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// SLO holds the limits that a cell's goodput is under; nil = none on it.
type SLO struct {
	TTFTMs *float64 `json:"ttft_ms,omitempty"`
	TPOTMs *float64 `json:"tpot_ms,omitempty"`
	E2EMs  *float64 `json:"e2e_ms,omitempty"`
}

// text is "TTFT <= 500 ms, TPOT <= 50 ms".
func (s SLO) text() string {
	var parts []string
	for _, one := range []struct {
		name string
		ms   *float64
	}{{"TTFT", s.TTFTMs}, {"TPOT", s.TPOTMs}, {"E2E", s.E2EMs}} {
		if one.ms != nil {
			parts = append(parts, fmt.Sprintf("%s <= %s ms", one.name, strconv.FormatFloat(*one.ms, 'f', -1, 64)))
		}
	}
	return strings.Join(parts, ", ")
}

// sloOf are the limits of a cell's loads: the first that it has, and whether all
// windows have the same. nil: the study has none.
func sloOf(loads []result.Trial) (slo *SLO, same bool) {
	same = true
	for _, t := range loads {
		for _, w := range t.Windows {
			var own SLO
			if g := w.Goodput; g != nil {
				own = SLO{TTFTMs: g.TTFTMs, TPOTMs: g.TPOTMs, E2EMs: g.E2EMs}
			}
			if slo == nil {
				slo = &own
			}
			if same = same && own.text() == slo.text(); slo.text() == "" {
				slo = &own
			}
		}
	}
	if slo == nil || slo.text() == "" {
		return nil, same
	}
	return slo, same
}

// goodputMetrics of windows under one set of limits. Where loads have different ones
// there is no number: it would be of no limits at all.
func goodputMetrics(loads []result.Trial) []metric {
	slo, same := sloOf(loads)
	if slo == nil {
		return nil
	}
	of := func(take func(result.Goodput) *float64) func(result.Window) *float64 {
		return func(w result.Window) *float64 {
			if w.Goodput == nil || !same {
				return nil
			}
			return take(*w.Goodput)
		}
	}
	why := func(w result.Window) string {
		switch {
		case !same:
			return "its trials have different limits under [slo]"
		case w.Goodput == nil || w.Goodput.Absent == "":
			return "no energy in a window"
		}
		return w.Goodput.Absent
	}
	return []metric{
		{name: MetricGoodput, unit: "requests/s", why: why, value: of(func(g result.Goodput) *float64 { return g.RequestsPerS })},
		{name: MetricGoodputShare, unit: "share", direction: stats.Higher, why: why, value: of(func(g result.Goodput) *float64 { return g.Share })},
		{name: MetricGoodputPerJoule, unit: "requests/J", joules: true, why: why, value: of(func(g result.Goodput) *float64 { return g.RequestsPerJ })},
	}
}

// goodput prints a table for each set of limits, if there is any.
func (p *printer) goodput() {
	var under []string
	cells := map[string][]Cell{}
	for _, c := range p.s.Cells {
		if c.SLO == nil {
			continue
		}
		text := c.SLO.text()
		if cells[text] == nil {
			under = append(under, text)
		}
		cells[text] = append(cells[text], c)
	}
	for _, text := range under {
		p.line("")
		p.paragraph("goodput: requests with %s", text)
		columns := filled([]column{
			{head: "cell", value: p.label},
			{head: "requests/s [95 %]", rank: 1, value: func(c Cell) string { return interval(c.Estimate(MetricGoodput)) }},
			{head: "share [95 %]", rank: 1, value: func(c Cell) string { return interval(c.Estimate(MetricGoodputShare)) }},
			{head: "requests/J [95 %]", rank: 2, value: func(c Cell) string { return c.mark(interval(c.Estimate(MetricGoodputPerJoule))) }},
		}, cells[text])
		if len(columns) > 1 {
			p.tabulate(columns, cells[text])
		}
		p.noGoodput(cells[text])
	}
}

// noGoodput says why a cell has none, each reason once.
func (p *printer) noGoodput(cells []Cell) {
	var reasons []string
	labels := map[string][]string{}
	for _, c := range cells {
		why := cmp.Or(c.Absent[MetricGoodput], c.Absent[MetricGoodputPerJoule])
		if why == "" || slices.Contains(labels[why], c.Label) {
			continue
		}
		if labels[why] == nil {
			reasons = append(reasons, why)
		}
		labels[why] = append(labels[why], c.Label)
	}
	for _, why := range reasons {
		p.paragraph("no goodput of %s: %s", some(labels[why]), OneLine(why))
	}
}
