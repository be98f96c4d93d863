package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
)

// mixedMethods warns of cells of one comparison whose joules were made from
// samples in different ways: what such methods differ by would look like a
// difference of the cells.
func mixedMethods(cells []Cell, compared []int) (Warning, bool) {
	var methods []string
	labels := map[string][]string{}
	for _, i := range compared {
		for _, method := range cells[i].methods() {
			if labels[method] == nil {
				methods = append(methods, method)
			}
			labels[method] = append(labels[method], cells[i].Label)
		}
	}
	if len(methods) < 2 {
		return Warning{}, false
	}
	var parts []string
	for _, method := range methods {
		parts = append(parts, fmt.Sprintf("%s by %s", some(labels[method]), method))
	}
	return Warning{Code: "mixed_methods", Severity: energy.SeverityWarning,
		Message: "the joules of compared cells were made in different ways: " + strings.Join(parts, "; ") + "; measure them with one sensor and driver"}, true
}

// methods by which the headline's joules of the cell's windows were made.
func (c Cell) methods() []string {
	var out []string
	for _, t := range c.loads {
		for _, w := range t.Windows {
			for _, d := range w.Domains {
				if m := d.Window.Method; m != "" && slices.Contains(t.Headline, d.DomainID) && !slices.Contains(out, m) {
					out = append(out, m)
				}
			}
		}
	}
	return out
}
