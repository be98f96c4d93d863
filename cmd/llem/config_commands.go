package main

import (
	"fmt"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/study"
)

// configCommands are `llem config ...`.
type configCommands struct {
	Doctor   configDoctor   `cmd:"" default:"1" help:"Show what llem sees on this machine: settings, plugins, energy sources."`
	Validate configValidate `cmd:"" help:"Check a study file and its plugins' parameters."`
	Schema   configSchema   `cmd:"" help:"Print the JSON schema of study files, for editors."`
	Example  configExample  `cmd:"" help:"Print a commented study file to start from."`
}

type configValidate struct {
	searchFlags
	Study string `arg:"" help:"Study file (TOML)."`
}

// Run checks a study as far as that goes without loading anything.
func (c *configValidate) Run(a *app) error {
	s, err := a.loadStudy(c.Study, llem.Settings{PluginDirs: c.PluginDir})
	if err != nil {
		return err
	}
	p, err := a.prepare(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: ok, %s in %s\n", c.Study, cellCounts(p, func(n int) string { return count(n, "cell") }), count(len(p.Plan.Blocks), "block"))
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
