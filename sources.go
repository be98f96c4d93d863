package llem

import (
	"slices"

	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/study"
)

// source is an energy source that a study names and a plugin serves.
type source struct {
	key             string // of the study, for messages
	name            string // what `energy` calls it
	plugin, version string
	parameters      map[string]any
}

// auto leaves the choice of sources to the machine.
const auto = "auto"

// namedSources lists the plugins behind `energy`: instances under [sources]
// and plugins by their own names, but not what "auto" may come to.
func namedSources(spec *study.Study) []source {
	var list []source
	for i, name := range spec.Energy {
		if slices.Contains(spec.Energy[:i], name) {
			continue
		}
		instance, configured := spec.Sources[name]
		switch {
		case configured:
			list = append(list, source{
				key: "sources." + name, name: name, plugin: instance.Plugin, version: instance.Version, parameters: instance.Parameters,
			})
		case name != auto && name != nvml.Name:
			list = append(list, source{key: "energy", name: name, plugin: name})
		}
	}
	return list
}
