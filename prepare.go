package llem

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/registry"
	"github.com/llenergymeasure/llem/sdk"
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
	// Plugins are the plugins that the study names, by name. Those that
	// energy = ["auto"] comes to are found when they are opened.
	Plugins map[string]registry.Entry

	schemas  map[string]sdk.DescribeReport // by plugin
	sources  []source
	lock     *registry.Lock // nil before the first use
	warnings []sdk.Warning
}

// Prepare expands a study and checks every cell. All that is wrong with the
// study comes back at once, as study.Problems.
func Prepare(ctx context.Context, s Study) (*Prepared, error) {
	if s.Spec == nil {
		return nil, errors.New("prepare a study: Spec is nil; read one with study.Load or study.Parse")
	}
	p, err := begin(s)
	if err != nil {
		return nil, err
	}
	if p.Cells, err = study.Expand(s.Spec); err != nil {
		return nil, err
	}
	// Each step adds to what is found, and leaves cells alone that are refused.
	found := newFindings(s.Spec)
	for _, step := range []func(context.Context, *findings) error{
		p.findPlugins, p.checkPasses, p.checkParameters, p.placeFiles, p.identify, p.checkStatic, p.checkDormant,
	} {
		err := step(ctx, found)
		if ctx.Err() != nil {
			// What was found then may be a consequence of the interrupt.
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, errors.Join(found.err(), err)
		}
	}
	baseline, problem := s.Spec.BaselineID(p.Cells)
	// A refused cell has no final ID, but its label.
	if problem != nil && (len(found.refused) == 0 || !cellID.MatchString(s.Spec.Compare.Baseline)) {
		found.keep(*problem)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	p.Plan = plan.Build(s.Spec, p.Cells)
	p.Plan.Baseline = baseline
	return p, nil
}

var cellID = regexp.MustCompile(`^[0-9a-f]{12}$`)

// Counts are the cells that the study asks for, and the probes beside them.
func (p *Prepared) Counts() (cells, probes int) {
	for _, c := range p.Cells {
		if c.Probe {
			probes++
		}
	}
	return len(p.Cells) - probes, probes
}

// begin opens the registry for a study.
func begin(s Study) (*Prepared, error) {
	p := &Prepared{Study: s, Plugins: map[string]registry.Entry{}, schemas: map[string]sdk.DescribeReport{}}
	p.sources = namedSources(s.Spec)
	return p, p.openRegistry()
}

// Warnings is what is doubtful and does not stop the study: directories that
// could not be searched, plugins that hide others of their name, a lock that
// could not be kept.
func (p *Prepared) Warnings() []sdk.Warning {
	all := p.Registry.Warnings()
	for _, name := range p.pluginNames() {
		for _, hidden := range p.Plugins[name].Shadows {
			all = append(all, sdk.Warning{Code: "plugin_shadowed", Message: fmt.Sprintf(
				"plugin %s in %s is used; it hides another %s in %s", name, p.Plugins[name].Dir, name, hidden)})
		}
	}
	return append(all, p.warnings...)
}

func (p *Prepared) openRegistry() error {
	lock, err := readLock(p.Spec.Path)
	if err != nil {
		return err
	}
	if lock != nil {
		lock.Renew = lockCommand(p.Spec.Path, p.PluginDirs)
	}
	p.lock = lock
	p.Registry, err = registry.Open(registry.SearchPath(p.PluginDirs, p.User.PluginDirs),
		registry.Options{CacheDir: p.cacheDir("registry"), CoreVersion: Version, Lock: lock})
	return err
}

// findPlugins finds the plugin of every instance in use and reads its schema.
func (p *Prepared) findPlugins(ctx context.Context, found *findings) error {
	var used []string
	for i := range p.Cells {
		cell := &p.Cells[i]
		if slices.Contains(used, cell.Instance) {
			continue
		}
		used = append(used, cell.Instance)
		if err := p.usePlugin(ctx, cell.Plugin, cell.Version, sdk.KindBackend); err != nil {
			found.in(cell, p.backendKey(cell.Instance), err.Error(), "")
		}
	}
	p.unusedBackends(ctx, used, found)
	p.unusedSources(ctx, found)
	p.findSources(ctx, found)
	return nil
}

// backendKey is where the study says which plugin an instance is: in its table
// or, without one, by its name.
func (p *Prepared) backendKey(instance string) string {
	if _, defined := p.Spec.Backends[instance]; defined {
		return "backends." + instance
	}
	return "backend"
}

func (p *Prepared) findSources(ctx context.Context, found *findings) {
	for _, s := range p.sources {
		if err := p.usePlugin(ctx, s.plugin, s.version, sdk.KindEnergySource); err != nil {
			found.add(s.key, err.Error(), "")
		}
	}
	p.lockedAuto(found)
}

func (p *Prepared) usePlugin(ctx context.Context, name, version string, kind sdk.Kind) error {
	entry, err := p.Registry.Find(name)
	if err != nil {
		return err
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
		return fmt.Errorf("plugin %s is no %s (it is: %s)", name, kind, kindWords(description.Kinds))
	}
	p.Plugins[name], p.schemas[name] = entry, description
	return nil
}

func kindWords(kinds []sdk.Kind) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, ", ")
}
