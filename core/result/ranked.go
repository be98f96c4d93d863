package result

import (
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
)

// NotRankedBy lists the codes that keep a finished trial out of every estimate, its
// own before those of its windows; none where it counts.
func (t Trial) NotRankedBy() []string {
	var codes []string
	add := func(list []energy.Warning) {
		for _, w := range list {
			if w.Severity == energy.SeverityFatal && !slices.Contains(codes, w.Code) {
				codes = append(codes, w.Code)
			}
		}
	}
	add(t.Warnings)
	for _, w := range t.Windows {
		add(w.Warnings)
	}
	if len(codes) == 0 && !t.Ranked {
		codes = append(codes, "not_ranked")
	}
	if len(codes) == 0 && len(t.Windows) == 0 {
		codes = append(codes, "no_windows")
	}
	return codes
}
