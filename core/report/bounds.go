package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// boundsOf names what the systematic half-width of a cell is of: "sensor", or the
// model behind its joules with the parts that make it, "model: gain ±100 %, offset
// ±15 %".
func (c Cell) boundsOf() string {
	measured, modelled := false, false
	for _, t := range c.loads {
		for _, d := range headlineOf(t) {
			measured, modelled = measured || !d.Estimated, modelled || d.Estimated
		}
	}
	switch {
	case !modelled:
		return "sensor"
	case measured:
		return "sensor and model"
	}
	gain, offset, ok := c.boundParts()
	if !ok {
		return "model"
	}
	return fmt.Sprintf("model: gain ±%s, offset ±%s", stats.Percent(gain), stats.Percent(offset))
}

// boundParts takes the worst window's half-width apart; false if the record does
// not hold its parts.
func (c Cell) boundParts() (gain, offset float64, ok bool) {
	var total float64
	for _, t := range c.loads {
		for _, w := range t.Windows {
			if w.SystematicRel == nil || *w.SystematicRel <= total {
				continue
			}
			total = *w.SystematicRel
			gain, offset = windowBounds(t, w)
		}
	}
	return gain, offset, total > 0 && math.Abs(gain+offset-total) < 1e-6*total
}

// windowBounds are gain and offset of a window's headline, relative to its energy.
func windowBounds(t result.Trial, w result.Window) (gain, offset float64) {
	var joules, gainJ, watts, offsetW float64
	for _, d := range w.Domains {
		if d.Error == "" && slices.Contains(t.Headline, d.DomainID) {
			joules, gainJ = joules+d.Window.EnergyJ, gainJ+d.Window.GainRel*d.Window.EnergyJ
			watts, offsetW = watts+d.Window.MeanPowerW, offsetW+d.Window.OffsetW
		}
	}
	if joules <= 0 || watts <= 0 {
		return 0, 0
	}
	return gainJ / joules, offsetW / watts
}

// doubts are the codes of what the trials of a cell and their windows say, notes
// left out; of a domain's numbers or, with "", of the headline's.
func doubts(trials []result.Trial, domain string) []string {
	var codes []string
	add := func(t result.Trial, list []energy.Warning) {
		for _, w := range list {
			about := w.Domain == "" || w.Domain == domain || domain == "" && slices.Contains(t.Headline, w.Domain)
			if about && w.Severity != energy.SeverityInfo && !slices.Contains(codes, w.Code) {
				codes = append(codes, w.Code)
			}
		}
	}
	for _, t := range trials {
		add(t, t.Warnings)
		for _, w := range t.Windows {
			add(t, w.Warnings)
			for _, d := range w.Domains {
				if d.DomainID == domain {
					add(t, d.Window.Warnings)
				}
			}
		}
	}
	slices.Sort(codes)
	return codes
}
