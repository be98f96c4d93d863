package report

import (
	"fmt"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/study"
)

// strata says why cells that only look alike stand in groups of their own: what the
// study varies made them do different work. It is a warning if a cell is left alone
// by that; else it is a design, and a note.
func (s *Summary) strata(warnings *warningList) {
	works := map[string]int{}
	var definitions []string
	for _, c := range s.Cells {
		if empty(c) == 0 {
			works[c.WorkHash]++
			definitions = append(definitions, c.loads[0].Cell.Definition)
		}
	}
	keys := study.WorkKeys(definitions)
	if len(works) < 2 || len(keys) == 0 {
		return
	}
	severity := energy.SeverityInfo
	for _, cells := range works {
		if cells == 1 {
			severity = energy.SeverityWarning
		}
	}
	verb, it := "varies", "it"
	if len(keys) > 1 {
		verb, it = "vary", "one of them"
	}
	warnings.add(Warning{Code: "work_varies", Severity: severity, Message: fmt.Sprintf(
		"%s %s, and cells that differ in %s did different work: they are in %d groups and never compared across them", strings.Join(keys, ", "), verb, it, len(works))}, "")
}
