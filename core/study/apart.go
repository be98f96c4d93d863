package study

import (
	"encoding/json"
	"maps"
	"slices"
)

// WorkKeys lists the keys of the study that make cells do different work, of their
// definitions: what varies in [workload], and the regime. Cells that differ in one are
// never compared, whatever else they have in common.
func WorkKeys(definitions []string) []string {
	values := map[string]map[string]bool{}
	note := func(key, value string) {
		if values[key] == nil {
			values[key] = map[string]bool{}
		}
		values[key][value] = true
	}
	for _, text := range definitions {
		var d struct {
			Workload map[string]any `json:"workload"`
			Protocol struct {
				Regime string `json:"regime"`
			} `json:"protocol"`
		}
		if json.Unmarshal([]byte(text), &d) != nil {
			continue // of an older llem, without a definition
		}
		for key, value := range d.Workload {
			if inner, nested := value.(map[string]any); nested {
				for sub, v := range inner {
					note("workload."+key+"."+sub, canonicalText(v))
				}
				continue
			}
			note("workload."+key, canonicalText(value))
		}
		note("protocol.regime", d.Protocol.Regime)
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if len(values[key]) > 1 {
			keys = append(keys, key)
		}
	}
	return keys
}

// Works is how many kinds of work the cells do, and the keys in which these differ.
func Works(cells []Cell) (kinds int, keys []string) {
	var definitions []string
	works := map[string]bool{}
	for _, c := range cells {
		if c.Probe {
			continue
		}
		definitions = append(definitions, c.Definition)
		works[canonicalText(c.Workload)+c.Protocol.Regime] = true
	}
	return len(works), WorkKeys(definitions)
}
