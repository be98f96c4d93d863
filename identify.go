package llem

import (
	"context"
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// identify gives every cell its final ID, now that the schemas say which
// parameters change what is measured. Two cells that differ in the others only
// would be one, measured twice under two names.
func (p *Prepared) identify(_ context.Context, found *findings) error {
	first := map[string]string{} // label by ID
	for i := range p.Cells {
		cell := &p.Cells[i]
		if found.refused[cell] {
			continue
		}
		skipped := unmeasured("", p.schemas[cell.Plugin].BackendSchema)
		cell.Identify(func(path string) bool { return skipped[path] })
		if label, double := first[cell.ID]; double {
			found.add("experiments", fmt.Sprintf("%q differs from %q only in settings that do not change what is measured", cell.Label, label), "remove one of them")
			found.refused[cell] = true
			continue
		}
		first[cell.ID] = cell.Label
	}
	return nil
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
