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
	// Comparisons of J/token with the cell that needs least, block by block.
	Comparisons []stats.Comparison `json:"comparisons,omitempty"`
	// NotCompared says why there are none, as far as one reason holds for all;
	// each cell has its own besides.
	NotCompared string `json:"not_compared,omitempty"`
}

// group sorts the cells into groups and compares within each.
func (s *Summary) group(warnings *warningList) {
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
	for i := range s.Groups {
		s.Groups[i].compare(s.Cells, warnings)
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

// compare sets every ranked cell of the group against the best one. Each cell
// that is not in a comparison has its reason afterwards.
func (g *Group) compare(cells []Cell, warnings *warningList) {
	if len(g.Cells) < 2 {
		if c := &cells[g.Cells[0]]; len(cells) > 1 {
			if _, c.NotCompared = c.ranked(); c.NotCompared == "" {
				c.NotCompared = "no other cell has the same boundary, workload and model"
			}
		}
		return
	}
	var arms []stats.Arm
	var compared []int
	for _, i := range g.Cells {
		if _, cells[i].NotCompared = cells[i].ranked(); cells[i].NotCompared == "" {
			arms, compared = append(arms, cells[i].arm()), append(compared, i)
		}
	}
	none := func(why string) {
		g.NotCompared = why
		for _, i := range compared {
			cells[i].NotCompared = why
		}
	}
	if len(arms) < 2 {
		none("no other cell here can be ranked")
		g.NotCompared = "fewer than two cells can be ranked"
		if first := cells[g.Cells[0]].NotCompared; len(arms) == 0 && !slices.ContainsFunc(g.Cells, func(i int) bool { return cells[i].NotCompared != first }) {
			g.NotCompared = first
		}
		return
	}
	if text := differentWork(cells, compared); text != "" {
		none(text)
		warnings.add(Warning{Code: "work_differs", Severity: energy.SeverityWarning, Message: text}, "")
		return
	}
	if mixed, ok := mixedMethods(cells, compared); ok {
		warnings.add(mixed, "")
	}
	for _, w := range unlikeArms(cells, compared) {
		warnings.add(w, "")
	}
	spec := stats.Spec{Metric: MetricEnergyPerToken, Unit: "J/token", Boundary: g.Boundary}
	others := []stats.Arm{}
	for k, arm := range arms[1:] {
		if sharesBlock(arms[0], arm) {
			others = append(others, arm)
		} else {
			cells[compared[k+1]].NotCompared = "it shares no block with " + arms[0].Name
		}
	}
	if len(others) == 0 {
		none("no other cell shares a block with " + arms[0].Name)
		return
	}
	list, err := stats.CompareBlocks(spec, arms[0], others)
	if err != nil {
		none(err.Error())
		return
	}
	g.Comparisons = list
	for _, c := range list {
		for _, w := range c.Warnings {
			warnings.add(Warning{Code: w.Code, Severity: energy.SeverityWarning, Message: w.Message, worse: farness(w.Value)}, c.Candidate)
		}
	}
}

// arm holds the cell's J/token by block, the mean over the windows of a load.
func (c Cell) arm() stats.Arm {
	arm := stats.Arm{Name: c.Label, Values: map[int]float64{}}
	for _, t := range c.loads {
		sum := 0.0
		for _, w := range t.Windows {
			sum += *w.EnergyPerOutputTokenJ
		}
		arm.Values[t.Block] = sum / float64(len(t.Windows))
	}
	return arm
}

func sharesBlock(a, b stats.Arm) bool {
	for block := range b.Values {
		if _, ok := a.Values[block]; ok {
			return true
		}
	}
	return false
}

// differentWork checks that cells agree on every pass that both ran in one
// block.
func differentWork(cells []Cell, compared []int) string {
	type pass struct{ block, index int }
	type seen struct{ hash, label string }
	first := map[pass]seen{}
	for _, at := range compared {
		c := cells[at]
		for _, t := range c.loads {
			if t.Work == nil {
				continue
			}
			for i, hash := range t.Work.PassHashes {
				p := pass{t.Block, i}
				f, ok := first[p]
				if !ok {
					first[p] = seen{hash, c.Label}
				} else if f.hash != hash {
					return fmt.Sprintf("%s and %s did not run the same requests (block %d, pass %d), so they are not compared", f.label, c.Label, t.Block+1, i+1)
				}
			}
		}
	}
	return ""
}
