package llem

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// unusedBackends refuses tables of backends that no cell uses: they would be
// ignored, and a misspelt name would mean a study with defaults. Their keys are
// checked, too, by the plugin that the table names or, where the name looks
// misspelt, by the one that is meant.
func (p *Prepared) unusedBackends(ctx context.Context, used []string, found *findings) {
	for _, name := range slices.Sorted(maps.Keys(p.Spec.Backends)) {
		if slices.Contains(used, name) {
			continue
		}
		key, plugin := "backends."+name, p.Spec.Backends[name].Plugin
		near := sdk.Nearest(name, used)
		if near == "" {
			found.add(key, "no cell uses this backend", fmt.Sprintf("set `backend = %q`, also in the sweep or in an experiment, or remove the table", name))
		} else {
			found.add(key, "no cell uses this backend", fmt.Sprintf("did you mean %q?", near))
			if plugin == name {
				plugin = near
				if meant, defined := p.Spec.Backends[near]; defined {
					plugin = meant.Plugin
				}
			}
		}
		if p.usePlugin(ctx, plugin, "", sdk.KindBackend) == nil {
			p.givenKeys(name, plugin, p.Spec.Backends[name], found)
		}
	}
}

// givenKeys holds the keys of a backend's table that are there against its
// plugin's schema.
func (p *Prepared) givenKeys(name, plugin string, instance study.Instance, found *findings) {
	for _, d := range sdk.CheckTable(p.schemas[plugin].BackendSchema, sdk.Table(instance.Parameters)) {
		if d.Severity == sdk.SeverityError && given(instance.Parameters, d.KeyPath) {
			found.add("backends."+name+"."+d.KeyPath, d.Message, d.Advice)
		}
	}
}
