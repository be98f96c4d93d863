package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// configDoctor is `llem config doctor`.
type configDoctor struct {
	searchFlags
	Format string `help:"What to print on stdout: text or json." enum:"text,json" default:"text"`
}

// diagnosis is what the doctor finds.
type diagnosis struct {
	Version  string              `json:"version"`
	Settings string              `json:"settings"`
	Wrong    []string            `json:"wrong_settings"`
	Cache    string              `json:"cache"`
	Searched []string            `json:"searched"`
	BuiltIn  []pluginDiagnosis   `json:"built_in"`
	Plugins  []pluginDiagnosis   `json:"plugins"`
	GPUs     []gpuDiagnosis      `json:"gpus"`
	Machine  environ.Environment `json:"machine"`
}

// pluginDiagnosis is the verdict on one plugin. Sources are opened once,
// backends only started.
type pluginDiagnosis struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	Kinds   []string `json:"kinds"`
	Dir     string   `json:"dir,omitempty"`
	Verdict string   `json:"verdict"`
}

// Run prints a verdict on each thing that a study may need, and the machine.
// Settings that are wrong are errors, once all else is printed: a study would be
// refused for them, or do without what they ask for.
func (c *configDoctor) Run(a *app) error {
	path, err := study.UserConfigPath()
	if err != nil {
		return err
	}
	if path == "" {
		path = "none: neither XDG_CONFIG_HOME nor HOME is set"
	}
	wrong := wrongSettings(a)
	r, err := c.open(a)
	if err != nil {
		return err
	}
	verdict, gpus := tryNVML(a.ctx, a.user)
	d := diagnosis{
		Version: llem.Version, Settings: path, Cache: llem.CacheDir(a.user), Searched: r.Searched(), Wrong: firstLines(wrong),
		BuiltIn: []pluginDiagnosis{{Name: nvml.Name, Kinds: []string{string(sdk.KindEnergySource)}, Verdict: verdict}},
		Plugins: []pluginDiagnosis{},
		GPUs:    gpus,
		Machine: environ.Snapshot(a.ctx),
	}
	for _, e := range r.Entries() {
		d.Plugins = append(d.Plugins, pluginDiagnosis{e.Name, e.Version, e.Kinds, e.Dir, tryPlugin(a.ctx, r, e)})
	}
	if c.Format == "json" {
		encoder := json.NewEncoder(device(a.stdout))
		encoder.SetIndent("", "  ")
		err = encoder.Encode(d)
	} else {
		err = d.print(a.stdout)
	}
	if err == nil && len(wrong) > 0 {
		err = usageError{errors.Join(wrong...)}
	}
	return err
}

func (d diagnosis) print(w io.Writer) error {
	fmt.Fprintf(w, "llem      %s\nsettings  %s\n", d.Version, d.Settings)
	for _, text := range d.Wrong {
		fmt.Fprintf(w, "          wrong: %s\n", text)
	}
	fmt.Fprintf(w, "cache     %s\n", d.Cache)
	for _, where := range d.Searched {
		fmt.Fprintf(w, "searched  %s\n", where)
	}
	for _, b := range d.BuiltIn {
		fmt.Fprintf(w, "built in  %-12s %s\n", b.Name, b.Verdict)
	}
	for _, p := range d.Plugins {
		fmt.Fprintf(w, "plugin    %-12s %-8s %s  %s\n", p.Name, p.Version, strings.Join(p.Kinds, ", "), p.Verdict)
	}
	for _, g := range d.GPUs {
		g.print(w)
	}
	return printMachine(w, d.Machine)
}

// sensor is what the doctor needs of an energy source.
type sensor interface {
	Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error)
	Close(ctx context.Context) error
}

func tryOpen(ctx context.Context, s sensor) string {
	domains, err := s.Open(ctx, sdk.OpenRequest{})
	if err != nil {
		return "no: " + err.Error()
	}
	line := "ok:"
	for _, d := range domains {
		line += fmt.Sprintf(" %s (%s, %s)", d.ID, d.Kind, d.Reading)
		if d.Estimated {
			line += " estimated"
		}
	}
	if err := s.Close(ctx); err != nil {
		line += "; close: " + err.Error()
	}
	return line
}

func tryPlugin(ctx context.Context, r *registry.Registry, e registry.Entry) string {
	if e.Problem != nil {
		return "unusable: " + e.Problem.Error()
	}
	p, _, err := r.Start(ctx, e.Name, host.Options{CoreVersion: llem.Version})
	if err != nil {
		return "does not start: " + err.Error()
	}
	defer p.Kill()
	if slices.Equal(p.Description().Kinds, []sdk.Kind{sdk.KindEnergySource}) {
		if keys := required(p.Description().SourceSchema); len(keys) > 0 {
			return fmt.Sprintf("ok: it starts; it is opened with a study, which says its %s in [sources.%s] (`llem plugins show %s`)", strings.Join(keys, ", "), e.Name, e.Name)
		}
		return tryOpen(ctx, p)
	}
	return "ok: " + filepath.Clean(e.Dir)
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
