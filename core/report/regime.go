package report

import (
	"slices"

	"github.com/llenergymeasure/llem/core/study"
)

// regimeTexts say what the thermal regimes are; others are shown by their name.
var regimeTexts = map[string]string{
	study.RegimeHot:      "hot (under load)",
	study.RegimeCooldown: "cooldown (each load idled before its measured Run, which counts from its first pass on)",
}

// regimes says in which thermal regime the cells were measured: the same load needs
// other joules in another one.
func (p *printer) regimes() {
	var order []string
	labels := map[string][]string{}
	for _, c := range p.s.Cells {
		if !slices.Contains(order, c.Regime) {
			order = append(order, c.Regime)
		}
		labels[c.Regime] = append(labels[c.Regime], c.Label)
	}
	slices.Sort(order)
	for _, regime := range order {
		of := ""
		if len(order) > 1 {
			of = " of " + some(labels[regime])
		}
		words := regimeTexts[regime]
		if words == "" {
			words = regime
		}
		p.paragraph("regime%s: %s", of, words)
	}
}
