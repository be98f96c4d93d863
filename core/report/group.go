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
	// NotCompared says why there are none.
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

// byEnergy ranks cells by J/token where both may be ranked.
func byEnergy(a, b Cell) int {
	x, okX := a.ranked()
	y, okY := b.ranked()
	switch {
	case okX && okY:
		return cmp.Compare(x.Centre, y.Centre)
	case okX:
		return -1
	case okY:
		return 1
	}
	return 0
}

// ranked gives the J/token of a cell that may be ranked: with an interval, and
// not of a single load.
func (c Cell) ranked() (stats.Estimate, bool) {
	e, ok := c.Estimate(MetricEnergyPerToken)
	return e, ok && e.HasInterval() && !c.Grouped && !e.Has(stats.CodeSingleLoad)
}

// compare sets every ranked cell of the group against the best one.
func (g *Group) compare(cells []Cell, warnings *warningList) {
	var arms []stats.Arm
	var compared []Cell
	for _, i := range g.Cells {
		c := cells[i]
		if _, ok := c.ranked(); !ok {
			continue
		}
		arm := stats.Arm{Name: c.Label, Values: map[int]float64{}}
		for _, t := range c.loads {
			sum := 0.0
			for _, w := range t.Windows {
				sum += *w.EnergyPerOutputTokenJ
			}
			arm.Values[t.Block] = sum / float64(len(t.Windows))
		}
		arms, compared = append(arms, arm), append(compared, c)
	}
	switch {
	case len(g.Cells) < 2:
		return
	case len(arms) < 2 && slices.ContainsFunc(g.Cells, func(i int) bool { return cells[i].Grouped }):
		g.NotCompared = "windows of one load say nothing of the spread between loads; use protocol.order = \"randomised\""
		return
	case len(arms) < 2:
		g.NotCompared = "fewer than two cells have an interval; run more cycles"
		return
	}
	if text := differentWork(compared); text != "" {
		g.NotCompared = text
		warnings.add(Warning{Code: "work_differs", Severity: energy.SeverityWarning, Message: text}, "")
		return
	}
	spec := stats.Spec{Metric: MetricEnergyPerToken, Unit: "J/token", Boundary: g.Boundary}
	list, err := stats.CompareBlocks(spec, arms[0], sharing(arms))
	if err != nil {
		g.NotCompared = err.Error()
		return
	}
	g.Comparisons = list
	if len(list) == 0 {
		g.NotCompared = fmt.Sprintf("no other cell shares a block with %s", arms[0].Name)
	}
	for _, c := range list {
		for _, w := range c.Warnings {
			warnings.add(Warning{Code: w.Code, Severity: energy.SeverityWarning, Message: w.Message}, c.Candidate)
		}
	}
}

// sharing are the arms that have a block in common with the first.
func sharing(arms []stats.Arm) []stats.Arm {
	var out []stats.Arm
	for _, arm := range arms[1:] {
		for block := range arm.Values {
			if _, ok := arms[0].Values[block]; ok {
				out = append(out, arm)
				break
			}
		}
	}
	return out
}

// differentWork checks that cells agree on every pass that both ran in one
// block.
func differentWork(cells []Cell) string {
	type pass struct{ block, index int }
	type seen struct{ hash, label string }
	first := map[pass]seen{}
	for _, c := range cells {
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
