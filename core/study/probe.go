package study

import "fmt"

// withProbes adds the probe of every cell that can have one: the same cell with
// one output token, so that what the full cell needs beyond it is decode. Cells
// that differ in their output length only share a probe, and a cell that has one
// output token already is the probe of the others.
func withProbes(cells []Cell) []Cell {
	at := map[string]int{} // by ID
	for i, c := range cells {
		at[c.ID] = i
	}
	out := cells
	more := map[int]int{} // cells that share a probe with its first
	for i := range cells {
		if !cells[i].probeable() {
			continue
		}
		probe := cells[i]
		probe.Workload.OutputTokens, probe.Probe = 1, true
		probe.Identify(nil)
		k, there := at[probe.ID]
		if !there {
			k = len(out)
			at[probe.ID] = k
			probe.Label = "probe of " + probe.Label
			out = append(out, probe)
		} else if out[k].Probe {
			more[k]++
		}
		out[i].ProbeID = probe.ID
	}
	for k, n := range more {
		out[k].Label += fmt.Sprintf(" and %d more", n)
	}
	return out
}

// probeable: the lengths are exact and there is something to decode. In an open
// loop the waiting between requests would count as prefill.
func (c Cell) probeable() bool {
	closed := c.Load.Mode == "batch" || c.Load.Mode == "closed"
	return closed && c.Workload.Lengths == "exact" && c.Workload.OutputTokens >= 2
}
