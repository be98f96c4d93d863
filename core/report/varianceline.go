package report

import (
	"fmt"
	"strings"

	"github.com/llenergymeasure/llem/core/stats"
)

// mostVariances are written out; the rest is in summary.json.
const mostVariances = 4

// variances prints for each set of cells where the spread comes from, and what
// would lessen it.
func (p *printer) variances() {
	for i, v := range p.s.Variances {
		if i == mostVariances {
			p.line("spread of %d more sets of cells in summary.json", len(p.s.Variances)-i)
			return
		}
		of := ""
		if len(v.Cells) < len(p.s.Cells) {
			var labels []string
			for _, c := range v.Cells {
				labels = append(labels, p.s.Cells[c].Label)
			}
			of = " of " + some(labels)
		}
		lead := "interval of a cell" + of
		if text := v.text(); text != "" {
			p.within(footerWidth, "spread of J/token%s (1 sd [95 %%]): %s", of, text)
			lead = "  interval of a cell"
		}
		if v.Advice != nil {
			p.within(footerWidth, "%s: %s", lead, v.Advice.text())
		}
	}
}

func (v Variance) text() string {
	var parts []string
	part := func(what string, sd, lo, hi float64) {
		parts = append(parts, fmt.Sprintf("%s %s [%s, %s]", what, stats.Percent(sd), stats.Percent(lo), stats.Percent(hi)))
	}
	if c := v.Components; c != nil {
		part("windows of a load", c.WithinRel, c.WithinLoRel, c.WithinHiRel)
		if v.Spread == nil {
			part("loads", c.BetweenRel, c.BetweenLoRel, c.BetweenHiRel)
		}
	}
	if s := v.Spread; s != nil {
		part("loads in a block", s.LoadRel, s.LoadLoRel, s.LoadHiRel)
		part("blocks", s.BlockRel, s.BlockLoRel, s.BlockHiRel)
		if c := s.Cards; c != nil {
			part(fmt.Sprintf("%d cards", c.Cards), c.CardRel, c.CardLoRel, c.CardHiRel)
		}
	}
	return strings.Join(parts, ", ")
}

func (a Advice) text() string {
	load := "loads"
	if a.Windows > 1 {
		load = fmt.Sprintf("loads of %d windows", a.Windows)
	}
	text := fmt.Sprintf("±%s with %d %s, ±%s with %d", stats.Percent(a.NowRel), a.Loads, load, stats.Percent(a.TwiceLoadsRel), 2*a.Loads)
	if a.MoreWindowsRel == nil {
		return text
	}
	text += fmt.Sprintf(", ±%s with %d windows each; ", stats.Percent(*a.MoreWindowsRel), a.Windows+1)
	switch n := *a.EfficientWindows; n {
	case 0:
		return text + "no spread between loads was seen, so windows are as good as loads"
	case 1:
		text += "1 window"
	default:
		text += fmt.Sprintf("%d windows", n)
	}
	return text + fmt.Sprintf(" a load would be the best use of time (a load takes %s s besides its windows, a window %s s)", stats.TwoDigits(a.LoadS), stats.TwoDigits(a.WindowS))
}

// coverage says how intervals are made, once for the whole table.
func (p *printer) coverage() string {
	var factors []string
	seen := map[int]bool{}
	for _, c := range p.s.Cells {
		if e, ok := c.Estimate(MetricEnergyPerToken); ok && e.HasInterval() && !seen[e.N] {
			seen[e.N] = true
			factors = append(factors, fmt.Sprintf("%.2f at n = %d", stats.CoverageFactor(e.N), e.N))
		}
	}
	if len(factors) == 0 {
		return ""
	}
	bounds := "model"
	for _, c := range p.s.Cells {
		if len(c.loads) > 0 && strings.HasPrefix(c.boundsOf(), "sensor") {
			bounds = "sensor"
		}
	}
	return fmt.Sprintf(" %s by t with n-1 (coverage factor %s); %s: its stated bounds", stats.Percent(p.s.Confidence), some(factors), bounds)
}
