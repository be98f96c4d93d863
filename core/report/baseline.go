package report

import (
	"cmp"
	"slices"

	"github.com/llenergymeasure/llem/core/stats"
)

// BaselineBy says what made a cell the one that the others are compared with.
type BaselineBy string

// The choices, in the order in which they are tried. None looks at a measured
// value: were the best cell the baseline, 3 to 8 equal cells would give a false
// alarm in 6 to 12 % of all studies, for 5 % promised.
const (
	BaselineDeclared     BaselineBy = "compare.baseline"
	BaselineFirst        BaselineBy = "first_cell"     // of the study
	BaselineFirstOfGroup BaselineBy = "first_of_group" // in the study's order
	BaselineFirstByName  BaselineBy = "first_by_name"  // the order is not known
)

// text is what the table says.
func (b BaselineBy) text() string {
	switch b {
	case BaselineDeclared:
		return "compare.baseline"
	case BaselineFirst:
		return "the study's first cell"
	case BaselineFirstOfGroup:
		return "the first of these in the study"
	}
	return "the first by name: no plan"
}

// baseline chooses among the arms of the cells that can be ranked: the declared
// one, else the first in the study's order that shares a block with another.
func (o Options) baseline(cells []Cell, compared []int, arms []stats.Arm) (at int, by BaselineBy) {
	order := make([]int, len(arms))
	for k := range order {
		order[k] = k
		if o.Baseline != "" && cells[compared[k]].ID == o.Baseline {
			return k, BaselineDeclared
		}
	}
	place := func(k int) int { // unknown cells come last
		if i := slices.Index(o.Order, cells[compared[k]].ID); i >= 0 {
			return i
		}
		return len(o.Order)
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := cells[compared[a]], cells[compared[b]]
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(x.Label, y.Label), cmp.Compare(x.ID, y.ID))
	})
	at = order[0]
	for _, k := range order {
		if slices.ContainsFunc(order, func(j int) bool { return j != k && sharesBlock(arms[k], arms[j]) }) {
			at = k
			break
		}
	}
	switch place(at) {
	case len(o.Order):
		return at, BaselineFirstByName
	case 0:
		return at, BaselineFirst
	}
	return at, BaselineFirstOfGroup
}
