package llem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Prepared is a study that was checked as far as that goes without loading
// anything: every key, every plugin's schema, every plugin's static Check.
type Prepared struct {
	Study
	Cells []study.Cell
	// Checks are the plugins' verdicts on Cells, in the same order.
	Checks   []sdk.CellCheck
	Plan     plan.Plan
	Registry *registry.Registry
	// Plugins are the plugins that the study uses, by name.
	Plugins map[string]registry.Entry
	schemas map[string]sdk.DescribeReport
}

// Prepare expands a study and checks every cell. All that is wrong with the
// study comes back at once, as study.Problems.
func Prepare(ctx context.Context, s Study) (*Prepared, error) {
	p := &Prepared{Study: s, Plugins: map[string]registry.Entry{}, schemas: map[string]sdk.DescribeReport{}}
	cells, err := study.Expand(s.Spec)
	if err != nil {
		return nil, err
	}
	p.Cells = cells
	if err := p.openRegistry(); err != nil {
		return nil, err
	}
	problems, err := p.checkPlugins(ctx)
	if err != nil {
		return nil, err
	}
	if len(problems) == 0 {
		problems = p.checkParameters()
	}
	if len(problems) == 0 {
		problems, err = p.checkStatic(ctx)
		if err != nil {
			return nil, err
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	p.Plan = plan.Build(s.Spec, cells)
	return p, nil
}

// Close releases what Prepare holds.
func (p *Prepared) Close() {}

func (p *Prepared) cacheDir(kind string) string {
	return filepath.Join(CacheDir(p.User), kind)
}

// CacheDir is where llem keeps what it can make again.
func CacheDir(user study.UserConfig) string {
	if user.CacheDir != "" {
		return user.CacheDir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		// Without a home directory there is only the temporary one.
		base = os.TempDir()
	}
	return filepath.Join(base, "llem")
}

func (p *Prepared) openRegistry() error {
	options := registry.Options{CacheDir: p.cacheDir("registry"), CoreVersion: Version}
	if p.Spec.Path != "" {
		lock, err := registry.ReadLock(LockPath(p.Spec.Path))
		switch {
		case err == nil:
			options.Lock = lock
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
	}
	r, err := registry.Open(registry.SearchPath(p.PluginDirs, p.User.PluginDirs), options)
	p.Registry = r
	return err
}

// LockPath is where the lock of a study file lies: beside it.
func LockPath(studyPath string) string {
	return filepath.Join(filepath.Dir(studyPath), "llem.lock")
}

// checkPlugins finds the plugin of every instance in use and reads its schema.
func (p *Prepared) checkPlugins(ctx context.Context) (study.Problems, error) {
	var problems study.Problems
	seen := map[string]bool{}
	for _, cell := range p.Cells {
		if seen[cell.Instance] {
			continue
		}
		seen[cell.Instance] = true
		if err := p.usePlugin(ctx, cell.Plugin, cell.Version, sdk.KindBackend); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			problems = append(problems, p.Spec.ProblemAt("backends."+cell.Instance, err.Error(), ""))
		}
	}
	for name, source := range p.Spec.Sources {
		if !slices.Contains(p.Spec.Energy, name) {
			continue
		}
		if err := p.usePlugin(ctx, source.Plugin, source.Version, sdk.KindEnergySource); err != nil {
			problems = append(problems, p.Spec.ProblemAt("sources."+name, err.Error(), ""))
		}
	}
	return problems, nil
}

func (p *Prepared) usePlugin(ctx context.Context, name, version string, kind sdk.Kind) error {
	entry, err := p.Registry.Find(name)
	if err != nil {
		return err
	}
	if entry.Problem != nil {
		return entry.Problem
	}
	if version != "" {
		if err := entry.Satisfies(version); err != nil {
			return err
		}
	}
	description, err := p.Registry.Describe(ctx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(description.Kinds, kind) {
		return fmt.Errorf("plugin %s is no %s (it is: %v)", name, kind, description.Kinds)
	}
	p.Plugins[name], p.schemas[name] = entry, description
	return nil
}

// checkParameters holds every cell's and source's table against its plugin's
// schema.
func (p *Prepared) checkParameters() study.Problems {
	found := problemSet{spec: p.Spec}
	for _, cell := range p.Cells {
		schema := p.schemas[cell.Plugin].BackendSchema
		for _, d := range sdk.CheckTable(schema, sdk.Table(cell.Parameters)) {
			found.add("backends."+cell.Instance+"."+d.KeyPath, d)
		}
		for _, axis := range cell.Axes {
			found.sweepable(schema, cell, axis)
		}
	}
	for name, source := range p.Spec.Sources {
		if !slices.Contains(p.Spec.Energy, name) {
			continue
		}
		for _, d := range sdk.CheckTable(p.schemas[source.Plugin].SourceSchema, sdk.Table(source.Parameters)) {
			found.add("sources."+name+"."+d.KeyPath, d)
		}
	}
	return found.list
}

// problemSet collects findings, each once: many cells share a key.
type problemSet struct {
	spec *study.Study
	list study.Problems
	seen map[string]bool
}

func (s *problemSet) add(key string, d sdk.Diagnostic) {
	if d.Severity != sdk.SeverityError {
		return
	}
	id := key + "\x00" + d.Message
	if s.seen[id] {
		return
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[id] = true
	s.list = append(s.list, s.spec.ProblemAt(key, d.Message, d.Advice))
}

// sweepable refuses a sweep over a key that is no part of the measurement.
func (s *problemSet) sweepable(schema []sdk.Parameter, cell study.Cell, axis study.Axis) {
	for _, parameter := range schema {
		key := "backends." + cell.Instance + "." + parameter.Key
		if axis.Key == key && !parameter.Sweepable {
			s.add("sweep."+key, sdk.Diagnostic{
				Severity: sdk.SeverityError, Message: fmt.Sprintf("cannot be swept: it is a %s parameter", parameter.Role),
			})
		}
	}
}

// checkStatic asks each plugin to judge its cells without touching a device.
// The verdicts are cached by the plugin's digest and the cells, so that a dry
// run starts no process.
func (p *Prepared) checkStatic(ctx context.Context) (study.Problems, error) {
	p.Checks = make([]sdk.CellCheck, len(p.Cells))
	found := problemSet{spec: p.Spec}
	for _, group := range p.byPlugin() {
		checks, err := p.cachedCheck(ctx, group)
		if err != nil {
			return nil, err
		}
		p.take(group, checks, &found)
	}
	return found.list, nil
}

// checkEnvironment lets each plugin look at this machine, once, before the
// first load.
func (p *Prepared) checkEnvironment(ctx context.Context) error {
	found := problemSet{spec: p.Spec}
	for _, group := range p.byPlugin() {
		checks, err := p.check(ctx, group, sdk.DepthEnvironment)
		if err != nil {
			return err
		}
		p.take(group, checks, &found)
	}
	if len(found.list) > 0 {
		return found.list
	}
	return nil
}

// group is the cells of one plugin, as indices into Prepared.Cells.
type group struct {
	plugin string
	cells  []int
}

func (p *Prepared) byPlugin() []group {
	var groups []group
	for i, cell := range p.Cells {
		at := slices.IndexFunc(groups, func(g group) bool { return g.plugin == cell.Plugin })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{plugin: cell.Plugin})
		}
		groups[at].cells = append(groups[at].cells, i)
	}
	return groups
}

// take stores a group's verdicts and collects what is wrong, including a loop
// that the plugin cannot be driven with.
func (p *Prepared) take(g group, checks []sdk.CellCheck, found *problemSet) {
	for k, i := range g.cells {
		cell, check := p.Cells[i], checks[k]
		p.Checks[i] = check
		for _, d := range check.Diagnostics {
			found.add(studyKey(cell, d.KeyPath), d)
		}
		loop := measure.ContractCell(cell).Load.Loop
		if !check.Refused() && !slices.Contains(check.Loops, loop) {
			found.add("load.mode", sdk.Diagnostic{
				Severity: sdk.SeverityError,
				Message:  fmt.Sprintf("%s cannot be driven with mode %q", cell.Plugin, cell.Load.Mode),
				Advice:   fmt.Sprintf("it supports: %v", check.Loops),
			})
		}
	}
}

// studyKey turns a plugin's key path into the study's: relative to the
// instance's table, unless it starts with a section of the study.
func studyKey(cell study.Cell, path string) string {
	for _, section := range []string{"model.", "workload.", "load.", "protocol."} {
		if len(path) > len(section) && path[:len(section)] == section {
			return path
		}
	}
	return "backends." + cell.Instance + "." + path
}

func (p *Prepared) contractCells(g group) []sdk.Cell {
	cells := make([]sdk.Cell, len(g.cells))
	for k, i := range g.cells {
		cells[k] = measure.ContractCell(p.Cells[i])
	}
	return cells
}

func (p *Prepared) check(ctx context.Context, g group, depth sdk.Depth) ([]sdk.CellCheck, error) {
	plugin, _, err := p.Registry.Start(ctx, g.plugin, host.Options{CoreVersion: Version})
	if err != nil {
		return nil, err
	}
	defer plugin.Kill()
	checks, err := plugin.Check(ctx, p.contractCells(g), depth)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: check: %w", g.plugin, err)
	}
	if len(checks) != len(g.cells) {
		return nil, fmt.Errorf("plugin %s: check: it answered for %d of %d cells; that is a fault of the plugin", g.plugin, len(checks), len(g.cells))
	}
	return checks, nil
}

func (p *Prepared) cachedCheck(ctx context.Context, g group) ([]sdk.CellCheck, error) {
	text, err := json.Marshal(p.contractCells(g))
	if err != nil {
		return nil, fmt.Errorf("encode the cells of plugin %s: %w", g.plugin, err)
	}
	sum := sha256.Sum256(append(text, Version+p.Plugins[g.plugin].Digest()...))
	path := filepath.Join(p.cacheDir("checks"), hex.EncodeToString(sum[:])+".json")
	var checks []sdk.CellCheck
	if cached, err := os.ReadFile(path); err == nil && json.Unmarshal(cached, &checks) == nil && len(checks) == len(g.cells) {
		return checks, nil
	}
	checks, err = p.check(ctx, g, sdk.DepthStatic)
	if err != nil {
		return nil, err
	}
	if encoded, err := json.Marshal(checks); err == nil {
		// A cache that cannot be written costs time, not correctness.
		if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
			_ = renameio.WriteFile(path, encoded, 0o644)
		}
	}
	return checks, nil
}

// lockText is the lock of the plugins in use, in the form of llem.lock.
func (p *Prepared) lockText() ([]byte, error) {
	names := make([]string, 0, len(p.Plugins))
	for name := range p.Plugins {
		names = append(names, name)
	}
	slices.Sort(names)
	lock, err := p.Registry.LockFor(names)
	if err != nil {
		return nil, err
	}
	return lock.Text(), nil
}

// PluginNames lists the plugins that a study uses: those of its cells'
// backends and of the sources that it names, without the built-in ones.
func PluginNames(spec *study.Study) ([]string, error) {
	cells, err := study.Expand(spec)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, cell := range cells {
		names = append(names, cell.Plugin)
	}
	for _, name := range spec.Energy {
		switch source, ok := spec.Sources[name]; {
		case ok:
			names = append(names, source.Plugin)
		case name != "auto" && name != nvml.Name:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
