package llem

import (
	"context"
	"fmt"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// identify gives every cell its final ID, now that the schemas say which
// parameters change what is measured. Two cells that differ in the others only
// would be one, measured twice under two names; two probes are then one.
func (p *Prepared) identify(_ context.Context, found *findings) error {
	first := map[string]string{} // label by ID
	final := map[string]string{} // ID by that before
	doubles := map[int]bool{}    // probes that another cell stands for
	for i := range p.Cells {
		cell := &p.Cells[i]
		if found.refused[cell] {
			continue
		}
		skipped := unmeasured("", p.schemas[cell.Plugin].BackendSchema)
		before := cell.ID
		cell.Identify(func(path string) bool { return skipped[path] })
		final[before] = cell.ID
		if label, double := first[cell.ID]; double && cell.Probe {
			doubles[i] = true
			continue
		} else if double {
			found.add("experiments", fmt.Sprintf("%q differs from %q only in settings that do not change what is measured", cell.Label, label), "remove one of them")
			found.refused[cell] = true
			continue
		}
		first[cell.ID] = cell.Label
	}
	for i := range p.Cells {
		p.Cells[i].ProbeID = final[p.Cells[i].ProbeID]
	}
	p.drop(doubles, found)
	return nil
}

// drop leaves cells out; what was found about the others stays theirs.
func (p *Prepared) drop(out map[int]bool, found *findings) {
	if len(out) == 0 {
		return
	}
	var kept []study.Cell
	var refused []int
	for i := range p.Cells {
		if out[i] {
			continue
		}
		if found.refused[&p.Cells[i]] {
			refused = append(refused, len(kept))
		}
		kept = append(kept, p.Cells[i])
	}
	p.Cells, found.refused = kept, map[*study.Cell]bool{}
	for _, i := range refused {
		found.refused[&p.Cells[i]] = true
	}
}

// unmeasured lists the keys whose role is not the measurement, by dotted path,
// and secrets: a token for a model hub is none of the model.
func unmeasured(prefix string, schema []sdk.Parameter) map[string]bool {
	keys := map[string]bool{}
	for _, parameter := range schema {
		path := prefix + parameter.Key
		if parameter.Role != sdk.RoleMeasurement || parameter.Secret {
			keys[path] = true
		}
		for inner := range unmeasured(path+".", parameter.Children) {
			keys[inner] = true
		}
	}
	return keys
}
