package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// pluginCommands are `llem plugins ...`.
type pluginCommands struct {
	List    pluginList    `cmd:"" default:"1" help:"List installed plugins; starts none of them."`
	Show    pluginShow    `cmd:"" help:"Show a plugin and its parameters."`
	Check   pluginCheck   `cmd:"" help:"Run the conformance suite against a plugin."`
	Install pluginInstall `cmd:"" help:"Copy a plugin into the plugin directory and verify it."`
	Lock    pluginLock    `cmd:"" help:"Write llem.lock beside a study: the plugins that it uses, by digest."`
}

// searchFlags are shared by all commands that look for plugins.
type searchFlags struct {
	PluginDir []string `help:"Search this directory for plugins first (repeatable)." type:"path" placeholder:"DIR"`
}

func (f searchFlags) open(a *app) (*registry.Registry, error) {
	r, err := registry.Open(registry.SearchPath(f.PluginDir, a.user.PluginDirs), registry.Options{
		CacheDir: filepath.Join(llem.CacheDir(a.user), "registry"), CoreVersion: llem.Version,
	})
	if err != nil {
		return nil, usageError{err}
	}
	a.warn(r.Warnings())
	return r, nil
}

// find is open, and the installed plugin of a name.
func (f searchFlags) find(a *app, name string) (*registry.Registry, registry.Entry, error) {
	r, err := f.open(a)
	if err != nil {
		return nil, registry.Entry{}, err
	}
	e, err := r.Find(name)
	if err != nil {
		return nil, registry.Entry{}, usageError{err}
	}
	return r, e, nil
}

type pluginList struct {
	searchFlags
}

// Run prints a table on a terminal and `name version` lines elsewhere.
func (c *pluginList) Run(a *app) error {
	r, err := c.open(a)
	if err != nil {
		return err
	}
	entries := r.Entries()
	if !terminal(a.stdout) {
		for _, e := range entries {
			fmt.Fprintln(a.stdout, listLine(e))
		}
	} else {
		t := newTable()
		t.AppendHeader(table.Row{"name", "kinds", "version", "protocol", "state", "where"})
		for _, e := range entries {
			t.AppendRow(table.Row{e.Name, strings.Join(e.Kinds, ", "), e.Version, e.Protocol, state(e), e.Dir})
		}
		fmt.Fprintln(a.stdout, t.Render())
	}
	for _, e := range entries {
		for _, shadowed := range e.Shadows {
			fmt.Fprintf(a.stderr, "warning: %s hides another %s in %s\n", e.Dir, e.Name, shadowed)
		}
		if e.Problem != nil {
			fmt.Fprintf(a.stderr, "warning: %s cannot be used: %v\n", e.Name, e.Problem)
		}
	}
	fmt.Fprintf(a.stderr, "Searched: %s\nBuilt in: %s\n", strings.Join(r.Searched(), ", "), nvml.Name)
	return nil
}

func listLine(e registry.Entry) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", e.Name, strings.Join(e.Kinds, ","), e.Version, state(e), e.Dir)
}

func state(e registry.Entry) string {
	if e.Problem != nil {
		return "unusable"
	}
	return "ready"
}

func newTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.OptionsNoBordersAndSeparators
	t.SetStyle(style)
	return t
}

type pluginShow struct {
	searchFlags
	Name string `arg:"" help:"Name of the plugin, or the path of a plugin's binary."`
}

// Run prints who the plugin is and its parameters.
func (c *pluginShow) Run(a *app) error {
	if c.Name == nvml.Name {
		return showBuiltIn(a)
	}
	if isPath(c.Name) {
		return showBinary(a, c.Name)
	}
	r, e, err := c.find(a, c.Name)
	if err != nil {
		return err
	}
	d, err := r.Describe(a.ctx, c.Name)
	if err != nil {
		return err
	}
	showPlugin(a, d, fmt.Sprintf("where     %s\ncommand   %s\n", e.Dir, strings.Join(e.Command, " ")), e.Digest())
	return nil
}

// isPath tells the path of a plugin's binary from the name of an installed one.
func isPath(name string) bool { return strings.ContainsRune(name, os.PathSeparator) }

// showBinary starts a plugin that is not installed and shows what it says.
func showBinary(a *app, path string) error {
	p, err := host.Start(a.ctx, host.Command{Path: path}, host.Options{CoreVersion: llem.Version})
	if err != nil {
		return err
	}
	d := p.Description()
	p.Kill()
	showPlugin(a, d, fmt.Sprintf("command   %s (not installed)\n", path), "none before `llem plugins install`")
	return nil
}

func showPlugin(a *app, d sdk.DescribeReport, where, digest string) {
	var kinds []string
	for _, kind := range d.Kinds {
		kinds = append(kinds, string(kind))
	}
	text.DisableColors()
	fmt.Fprintf(a.stdout, "%s %s  %s\nkinds     %s\n%ssdk       %s, contract minor %d\ndigest    %s\n",
		d.Name, d.Version, d.Doc, strings.Join(kinds, ", "), where, d.SDKVersion, d.ProtocolMinor, digest)
	showSchema(a, "Parameters of [backends."+d.Name+"]", d.BackendSchema)
	showSchema(a, "Parameters of [sources."+d.Name+"]", d.SourceSchema)
}

func showSchema(a *app, title string, schema []sdk.Parameter) {
	if len(schema) == 0 {
		return
	}
	t := newTable()
	t.AppendHeader(table.Row{"key", "type", "unit", "default", "range", "sweep", "doc"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 5, WidthMax: 36, WidthMaxEnforcer: text.WrapSoft}, {Number: 7, WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
	appendSchema(t, "", schema)
	fmt.Fprintf(a.stdout, "\n%s\n%s\n", title, t.Render())
}

func appendSchema(t table.Writer, prefix string, schema []sdk.Parameter) {
	for _, p := range schema {
		def, sweep := "engine's", "no"
		if p.Default != nil {
			def = fmt.Sprint(p.Default)
		}
		if p.Required {
			def = "required"
		}
		if p.Sweepable {
			sweep = "yes"
		}
		kind := string(p.Type)
		if p.Format != "" {
			kind = p.Format
		}
		t.AppendRow(table.Row{prefix + p.Key, kind, p.UnitName, def, valueRange(p), sweep, p.Description})
		appendSchema(t, prefix+p.Key+".", p.Children)
	}
}

func valueRange(p sdk.Parameter) string {
	if len(p.Enum) > 0 {
		words := make([]string, len(p.Enum))
		for i, v := range p.Enum {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, " | ")
	}
	switch {
	case p.Min != nil && p.Max != nil:
		return fmt.Sprintf("%v to %v", p.Min, p.Max)
	case p.Min != nil:
		return fmt.Sprintf("%v or more", p.Min)
	case p.Max != nil:
		return fmt.Sprintf("%v or less", p.Max)
	}
	return ""
}

type pluginInstall struct {
	Path string `arg:"" help:"A plugin's binary, or a directory with plugin.toml." type:"path"`
	Dir  string `help:"Directory to install into, instead of the user's." type:"path" placeholder:"DIR"`
}

// Run copies, verifies and publishes the plugin.
func (c *pluginInstall) Run(a *app) error {
	dir := c.Dir
	if dir == "" {
		dir = registry.UserDir()
	}
	if dir == "" {
		return usageError{errors.New("there is no user data directory to install into: neither XDG_DATA_HOME nor HOME holds an absolute path; set one, or give --dir DIR")}
	}
	e, err := registry.Install(a.ctx, c.Path, dir, registry.Options{
		CacheDir: filepath.Join(llem.CacheDir(a.user), "registry"), CoreVersion: llem.Version,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "installed %s %s (%s) in %s\n", e.Name, e.Version, strings.Join(e.Kinds, ", "), e.Dir)
	return nil
}

type pluginLock struct {
	searchFlags
	Study string `arg:"" help:"Study file whose plugins are locked."`
}

// Run writes llem.lock beside the study.
func (c *pluginLock) Run(a *app) error {
	s, err := a.loadStudy(c.Study, llem.Settings{PluginDirs: c.PluginDir})
	if err != nil {
		return err
	}
	r, err := c.open(a)
	if err != nil {
		return err
	}
	names, err := llem.PluginNames(s.Spec)
	if err != nil {
		return usageError{err}
	}
	lock, err := r.LockFor(names)
	if err != nil {
		return usageError{err}
	}
	path := llem.LockPath(c.Study)
	old, err := registry.ReadLock(path)
	switch {
	case err == nil:
		var removed []string
		lock, removed = old.Renewed(lock, func(name string) bool {
			_, err := r.Find(name)
			return err == nil
		})
		if len(removed) > 0 {
			fmt.Fprintf(a.stderr, "removed from the lock: %s (not installed any more)\n", strings.Join(removed, ", "))
		}
	case !errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(a.stderr, "warning: the lock before is replaced whole: %v\n", err)
	}
	if err := registry.WriteLock(path, lock); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s\n", path)
	return nil
}
