package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
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
	There    bool                `json:"settings_there"`
	Wrong    []string            `json:"wrong_settings"`
	Cache    string              `json:"cache"`
	Searched []string            `json:"searched"`
	BuiltIn  []pluginDiagnosis   `json:"built_in"`
	Plugins  []pluginDiagnosis   `json:"plugins"`
	Auto     []string            `json:"auto"` // the sources that energy = ["auto"] may come to
	GPUs     []gpuDiagnosis      `json:"gpus"`
	Machine  environ.Environment `json:"machine"`
}

// Run prints a verdict on each thing that a study may need, and the machine.
// Settings that are wrong are errors, once all else is printed: a study would be
// refused for them, or do without what they ask for.
func (c *configDoctor) Run(a *app) error {
	path, err := study.UserConfigPath()
	if err != nil {
		return err
	}
	_, unseen := os.Stat(path)
	if path == "" {
		path = "none: neither XDG_CONFIG_HOME nor HOME is set"
	}
	wrong := wrongSettings(a)
	r, err := c.open(a)
	if err != nil {
		return err
	}
	builtIn, gpus := tryNVML(a.ctx, a.user)
	d := diagnosis{
		Version: llem.Version, Settings: path, There: !errors.Is(unseen, fs.ErrNotExist), Cache: llem.CacheDir(a.user), Searched: r.Searched(), Wrong: firstLines(wrong),
		BuiltIn: []pluginDiagnosis{{Name: nvml.Name, Kinds: []string{string(sdk.KindEnergySource)}, verdict: builtIn}},
		Plugins: []pluginDiagnosis{},
		GPUs:    gpus,
		Machine: environ.Snapshot(a.ctx),
	}
	for _, e := range r.Entries() {
		d.Plugins = append(d.Plugins, pluginDiagnosis{e.Name, e.Version, e.Kinds, e.Dir, tryPlugin(a.ctx, r, e)})
	}
	d.Auto = autoSources(slices.Concat(d.BuiltIn, d.Plugins))
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
	settings := d.Settings
	if !d.There && filepath.IsAbs(settings) {
		settings = fmt.Sprintf("none: there is no %s, which is not needed", settings)
	}
	fmt.Fprintf(w, "llem      %s\nsettings  %s\n", d.Version, settings)
	for _, text := range d.Wrong {
		fmt.Fprintf(w, "          wrong: %s\n", text)
	}
	fmt.Fprintf(w, "cache     %s\n", d.Cache)
	for _, where := range d.Searched {
		fmt.Fprintf(w, "searched  %s\n", where)
	}
	for _, b := range d.BuiltIn {
		fmt.Fprintf(w, "built in  %-12s %s\n", b.Name, b.Text)
	}
	for _, p := range d.Plugins {
		fmt.Fprintf(w, "plugin    %-12s %-8s %s  %s\n", p.Name, p.Version, strings.Join(p.Kinds, ", "), p.Text)
	}
	fmt.Fprintf(w, "energy    %s\n", autoLine(d.Auto))
	for _, g := range d.GPUs {
		g.print(w)
	}
	return printMachine(w, d.Machine)
}
