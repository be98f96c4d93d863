package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// Group is a set of cells that may be compared: one boundary, one workload,
// one base model.
type Group struct {
	Boundary string `json:"boundary"`
	WorkHash string `json:"work_hash"`
	Model    string `json:"model"`
	// Cells by index into Summary.Cells.
	Cells []int `json:"cells"`
	// Comparisons of J/token with one of the cells, block by block.
	Comparisons []stats.Comparison `json:"comparisons,omitempty"`
	// BaselineBy says what made that cell the baseline.
	BaselineBy BaselineBy `json:"baseline_by,omitempty"`
	// NotCompared says why there are none, as far as one reason holds for all;
	// each cell has its own besides.
	NotCompared string `json:"not_compared,omitempty"`
}

// group sorts the cells into groups and compares within each.
func (s *Summary) group(o Options, warnings *warningList) {
	slices.SortStableFunc(s.Cells, func(a, b Cell) int {
		return cmp.Or(
			cmp.Compare(empty(a), empty(b)), cmp.Compare(a.Boundary, b.Boundary), cmp.Compare(a.WorkHash, b.WorkHash), cmp.Compare(a.Model, b.Model),
			byEnergy(a, b), cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID))
	})
	boundaries := map[string]bool{}
	for i := range s.Cells {
		c := &s.Cells[i]
		if empty(*c) == 0 {
			boundaries[c.Boundary] = true
		}
		last := len(s.Groups) - 1
		if last < 0 || s.Groups[last].Boundary != c.Boundary || s.Groups[last].WorkHash != c.WorkHash || s.Groups[last].Model != c.Model {
			s.Groups = append(s.Groups, Group{Boundary: c.Boundary, WorkHash: c.WorkHash, Model: c.Model})
			last++
		}
		c.Group = last
		s.Groups[last].Cells = append(s.Groups[last].Cells, i)
	}
	if len(boundaries) > 1 {
		warnings.add(Warning{Code: "different_boundaries", Severity: energy.SeverityWarning,
			Message: fmt.Sprintf("the joules of these cells cover %d different sets of devices; they are shown apart and never compared", len(boundaries))}, "")
	}
	s.strata(warnings)
	for i := range s.Groups {
		s.Groups[i].compare(s.Cells, o, warnings)
	}
}

// empty is 1 for a cell without any estimate; such cells come last.
func empty(c Cell) int {
	if len(c.loads) == 0 {
		return 1
	}
	return 0
}

// byEnergy ranks cells by J/token where both may be ranked; those that have only one
// load each stand behind them in the same order.
func byEnergy(a, b Cell) int {
	x, notX := a.ranked()
	y, notY := b.ranked()
	switch {
	case notX == "" && notY == "":
		return cmp.Compare(x.Centre, y.Centre)
	case notX == "":
		return -1
	case notY == "":
		return 1
	case a.modelDoubt == "" && b.modelDoubt == "" && a.comparable() && b.comparable():
		return cmp.Compare(x.Centre, y.Centre) // for the eye: they are not ranked
	}
	return 0
}

// comparable is true if the cell has a J/token, ranked or not.
func (c Cell) comparable() bool {
	_, ok := c.Estimate(MetricEnergyPerToken)
	return ok
}

// ranked gives the J/token of a cell, or why the cell may not be ranked by it.
func (c Cell) ranked() (e stats.Estimate, whyNot string) {
	e, ok := c.Estimate(MetricEnergyPerToken)
	switch {
	case len(c.loads) == 0:
		return e, "no trial of it can be used"
	case c.modelDoubt != "":
		return e, c.modelDoubt
	case !ok:
		return e, c.Absent[MetricEnergyPerToken]
	case c.Grouped || e.Has(stats.CodeSingleLoad):
		return e, "windows of one load say nothing of the spread between loads; use protocol.order = \"randomised\""
	case !e.HasInterval():
		return e, "one load gives no interval, so the order of rows is no ranking; run more cycles"
	}
	return e, ""
}
