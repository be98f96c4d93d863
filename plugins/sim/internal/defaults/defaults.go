// Package defaults completes what a study wrote with the schema's defaults.
package defaults

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// Fill returns every key of the schema that has a value: the given one, else
// the default. A default that is no parameter value is a fault of this
// program and panics.
func Fill(schema []sdk.Parameter, given sdk.Table) sdk.Table {
	full := sdk.Table{}
	for _, p := range schema {
		value, ok := given[p.Key]
		if !ok && p.Default == nil {
			continue
		}
		if !ok {
			value = p.Default
		}
		normal, err := sdk.Normalize(value)
		if err != nil {
			panic(fmt.Sprintf("sim: parameter %s: %v", p.Key, err))
		}
		full[p.Key] = normal
	}
	return full
}
