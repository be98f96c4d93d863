package llem

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
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
// and plugins by their own names. What "auto" may come to is among them if
// the study configures it.
func namedSources(spec *study.Study) []source {
	names := slices.Clone(spec.Energy)
	if slices.Contains(names, auto) {
		for _, name := range measure.AutoSources() {
			if _, configured := spec.Sources[name]; configured {
				names = append(names, name)
			}
		}
	}
	var list []source
	for i, name := range names {
		if slices.Contains(names[:i], name) {
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

// unusedSources refuses settings of sources that nothing opens: they would be
// ignored. Their keys are checked, too, as far as the plugin is there.
func (p *Prepared) unusedSources(ctx context.Context, found *findings) {
	for _, name := range slices.Sorted(maps.Keys(p.Spec.Sources)) {
		if slices.ContainsFunc(p.sources, func(s source) bool { return s.name == name }) {
			continue
		}
		found.add("sources."+name, "`energy` does not name it", fmt.Sprintf("add %q to `energy`, or remove the table", name))
		instance := p.Spec.Sources[name]
		if p.usePlugin(ctx, instance.Plugin, "", sdk.KindEnergySource) == nil {
			p.sourceKeys(source{name: name, plugin: instance.Plugin, parameters: instance.Parameters}, found)
		}
	}
}

// sourceKeys holds a source's table against its plugin's schema.
func (p *Prepared) sourceKeys(s source, found *findings) {
	for _, d := range sdk.CheckTable(p.schemas[s.plugin].SourceSchema, sdk.Table(s.parameters)) {
		if d.Severity == sdk.SeverityError {
			found.add("sources."+s.name+"."+d.KeyPath, d.Message, d.Advice)
		}
	}
}
