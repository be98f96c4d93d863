package report

import (
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// compare sets every ranked cell of the group against its baseline. Each cell
// that is not in a comparison has its reason afterwards.
func (g *Group) compare(cells []Cell, o Options, warnings *warningList) {
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
	at, by := o.baseline(cells, compared, arms)
	for _, i := range g.Cells {
		if cells[i].ID == o.Baseline && by != BaselineDeclared {
			warnings.add(Warning{Code: "baseline_not_ranked", Severity: energy.SeverityWarning, Message: fmt.Sprintf(
				"compare.baseline cannot be compared with (%s), so %s stands in for it", cells[i].NotCompared, arms[at].Name)}, cells[i].Label)
		}
	}
	others, candidates := []stats.Arm{}, []int{}
	for k, arm := range arms {
		switch {
		case k == at:
		case sharesBlock(arms[at], arm):
			others, candidates = append(others, arm), append(candidates, compared[k])
		default:
			cells[compared[k]].NotCompared = "it shares no block with " + arms[at].Name
		}
	}
	if len(others) == 0 {
		none("no other cell shares a block with " + arms[at].Name)
		return
	}
	list, err := stats.CompareBlocks(spec, arms[at], others)
	if err != nil {
		none(err.Error())
		return
	}
	g.Comparisons, g.BaselineBy = list, by
	for i, c := range list {
		cells[compared[at]].otherBlocks(c)
		cells[candidates[i]].otherBlocks(c)
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

// otherBlocks marks the cell's J/token where its row is the mean over other blocks than
// a ratio of it, so that the two numbers do not hang together exactly.
func (c *Cell) otherBlocks(ratio stats.Comparison) {
	if slices.Equal(c.Blocks, ratio.Blocks) {
		return
	}
	for _, w := range ratio.Warnings {
		for i := range c.Estimates {
			if e := &c.Estimates[i]; w.Code == stats.CodeIncompleteBlocks && e.Metric == MetricEnergyPerToken && !e.Has(w.Code) {
				e.Warnings = append(e.Warnings, w)
			}
		}
	}
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
