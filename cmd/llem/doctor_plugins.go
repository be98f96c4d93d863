package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// pluginDiagnosis is one plugin or built-in source, and the verdict on it.
type pluginDiagnosis struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	Kinds   []string `json:"kinds"`
	Dir     string   `json:"dir,omitempty"`
	verdict
}

// verdict says whether a study could use a plugin on this machine, as far as is seen
// without one: sources are opened, backends asked what their engine lacks here.
type verdict struct {
	OK   bool   `json:"ok"`
	Text string `json:"verdict"`
}

func usable(format string, args ...any) verdict {
	return verdict{true, "ok: " + fmt.Sprintf(format, args...)}
}

func unusable(what string, why string) verdict { return verdict{false, what + ": " + why} }

// sensor is what the doctor needs of an energy source.
type sensor interface {
	Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error)
	Close(ctx context.Context) error
}

func tryOpen(ctx context.Context, s sensor) verdict {
	domains, err := s.Open(ctx, sdk.OpenRequest{})
	if err != nil {
		return unusable("no", err.Error())
	}
	names := make([]string, len(domains))
	for i, d := range domains {
		names[i] = fmt.Sprintf("%s (%s, %s)", d.ID, d.Kind, d.Reading)
		if d.Estimated {
			names[i] += " estimated"
		}
	}
	v := usable("%s", strings.Join(names, " "))
	if err := s.Close(ctx); err != nil {
		v.Text += "; close: " + err.Error()
	}
	return v
}

func tryPlugin(ctx context.Context, r *registry.Registry, e registry.Entry) verdict {
	if e.Problem != nil {
		return unusable("unusable", e.Problem.Error())
	}
	p, _, err := r.Start(ctx, e.Name, host.Options{CoreVersion: llem.Version})
	if err != nil {
		return unusable("does not start", err.Error())
	}
	defer p.Kill()
	if slices.Contains(p.Description().Kinds, sdk.KindBackend) {
		return tryBackend(ctx, p, e)
	}
	if keys := required(p.Description().SourceSchema); len(keys) > 0 {
		return usable("it starts; it is opened with a study, which says its %s in [sources.%s] (`llem plugins show %s`)", strings.Join(keys, ", "), e.Name, e.Name)
	}
	return tryOpen(ctx, p)
}

// tryBackend loads nothing. A backend need not know what its engine lacks, and one of
// which no small cell is known cannot be asked.
func tryBackend(ctx context.Context, p *host.Plugin, e registry.Entry) verdict {
	machine, err := plugintest.LookAround(ctx, p)
	switch {
	case err != nil:
		return unusable("no", err.Error())
	case len(machine.Lacking) > 0:
		return unusable("no", strings.Join(machine.Lacking, "; "))
	case machine.Unknown != "":
		return usable("it starts; whether its engine is here is seen with a study, `llem run`: %s", machine.Unknown)
	case len(machine.Doubts) > 0:
		return usable("it starts, and misses nothing here, but %s; %s", strings.Join(machine.Doubts, "; "), e.Dir)
	}
	return usable("it starts, and misses nothing here; %s", e.Dir)
}

// required lists the parameters without which a plugin cannot be opened.
func required(parameters []sdk.Parameter) []string {
	var keys []string
	for _, p := range parameters {
		if p.Required {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// autoSources are those of the sources that energy = ["auto"] tries which a study
// could use.
func autoSources(all []pluginDiagnosis) []string {
	found := []string{}
	for _, name := range measure.AutoSources() {
		if slices.ContainsFunc(all, func(d pluginDiagnosis) bool { return d.Name == name && d.OK }) {
			found = append(found, name)
		}
	}
	return found
}

// autoLine says in the words of a dry run what energy = ["auto"] would come to here.
func autoLine(sources []string) string {
	if len(sources) == 0 {
		return fmt.Sprintf(`no: energy = ["auto"] finds none of %s that opens here, and a study stops; mend what is said of them, or install hostpower, an estimate`,
			strings.Join(measure.AutoSources(), ", "))
	}
	when := map[string]string{nvml.Name: " if a cell uses a GPU", "hostpower": ", an estimate, if nothing else measures"}
	parts := make([]string, len(sources))
	for i, name := range sources {
		parts[i] = name + when[name]
	}
	return "auto: " + strings.Join(parts, "; ")
}
