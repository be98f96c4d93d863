package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// configCommands are `llem config ...`.
type configCommands struct {
	Doctor   configDoctor   `cmd:"" default:"1" help:"Show what llem sees on this machine: settings, plugins, energy sources."`
	Validate configValidate `cmd:"" help:"Check a study file and its plugins' parameters."`
	Schema   configSchema   `cmd:"" help:"Print the JSON schema of study files, for editors."`
	Example  configExample  `cmd:"" help:"Print a commented study file to start from."`
}

type configDoctor struct {
	searchFlags
}

// Run prints one line for each thing that a study may need.
func (c *configDoctor) Run(a *app) error {
	w := a.stdout
	path, err := study.UserConfigPath()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "llem      %s\nsettings  %s\ncache     %s\n", llem.Version, path, llem.CacheDir(a.user))
	machine, err := json.MarshalIndent(environ.Snapshot(a.ctx), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the machine's description: %w", err)
	}
	fmt.Fprintf(w, "machine   %s\n", machine)
	fmt.Fprintf(w, "nvml      %s\n", doctorSource(a, nvml.New()))
	r, dirs, err := c.open(a)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		fmt.Fprintf(w, "searched  %s (%s)\n", d.Path, d.Origin)
	}
	for _, e := range r.Entries() {
		fmt.Fprintf(w, "plugin    %-12s %-8s %v  %s\n", e.Name, e.Version, e.Kinds, doctorPlugin(a, r, e))
	}
	return nil
}

// sensor is what the doctor needs of an energy source.
type sensor interface {
	Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error)
	Close(ctx context.Context) error
}

func doctorSource(a *app, s sensor) string {
	domains, err := s.Open(a.ctx, sdk.OpenRequest{})
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
	if err := s.Close(a.ctx); err != nil {
		line += "; close: " + err.Error()
	}
	return line
}

func doctorPlugin(a *app, r *registry.Registry, e registry.Entry) string {
	if e.Problem != nil {
		return "unusable: " + e.Problem.Error()
	}
	p, _, err := r.Start(a.ctx, e.Name, host.Options{CoreVersion: llem.Version})
	if err != nil {
		return "does not start: " + err.Error()
	}
	defer p.Kill()
	for _, kind := range p.Description().Kinds {
		if kind == sdk.KindEnergySource && len(p.Description().Kinds) == 1 {
			return doctorSource(a, p)
		}
	}
	return "ok: " + filepath.Clean(e.Dir)
}

type configValidate struct {
	searchFlags
	Study string `arg:"" help:"Study file (TOML)."`
}

// Run checks a study as far as that goes without loading anything.
func (c *configValidate) Run(a *app) error {
	spec, err := loadStudy(c.Study)
	if err != nil {
		return err
	}
	p, err := a.prepare(llem.Study{Spec: spec, Settings: llem.Settings{PluginDirs: c.PluginDir, User: a.user}})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: ok, %s in %s\n", c.Study, count(len(p.Cells), "cell"), count(len(p.Plan.Blocks), "block"))
	return nil
}

type configSchema struct{}

// Run prints the schema.
func (configSchema) Run(a *app) error {
	_, err := a.stdout.Write(study.Schema())
	return err
}

type configExample struct{}

// Run prints the example.
func (configExample) Run(a *app) error {
	_, err := a.stdout.Write(study.Example())
	return err
}
