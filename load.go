package llem

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// Load reads a study file. Where it has study.Problems, those of its plugins'
// tables come with them, so that one reading reports both.
func Load(ctx context.Context, path string, settings Settings) (Study, error) {
	spec, err := study.Draft(path)
	s := Study{Spec: spec, Settings: settings}
	var problems study.Problems
	if spec == nil || !errors.As(err, &problems) {
		return s, err // nil with a good study
	}
	problems = append(slices.Clone(problems), tableProblems(ctx, s, problems)...)
	return Study{}, sorted(problems)
}

// tableProblems checks the plugins' tables of a study that has no cells yet. A
// key that is missing may come from what could not be read, so only those that
// are there are judged, and only backends that something names.
func tableProblems(ctx context.Context, s Study, known study.Problems) []study.Problem {
	p, err := begin(s)
	if err != nil {
		return nil // it is told once the study can be read
	}
	found := newFindings(s.Spec)
	names := namedBackends(s.Spec)
	for _, name := range names {
		instance, defined := s.Spec.Backends[name]
		if !defined {
			if slices.ContainsFunc(known, func(p study.Problem) bool { return strings.HasSuffix("."+p.Key, ".backend") }) {
				continue // the name is what is wrong
			}
			instance = study.Instance{Plugin: name}
		}
		if err := p.usePlugin(ctx, instance.Plugin, instance.Version, sdk.KindBackend); err != nil {
			found.add(p.backendKey(name), err.Error(), "")
			continue
		}
		p.givenKeys(name, instance.Plugin, instance, found)
	}
	if len(names) > 0 {
		p.unusedBackends(ctx, names, found)
	}
	p.unusedSources(ctx, found)
	p.findSources(ctx, found)
	p.checkSources(found)
	p.variedKeys(found)
	if ctx.Err() != nil {
		return nil
	}
	return found.list
}

// variedKeys holds what the sweep, its groups and experiments set of backends against
// their plugins' schemas: whether an axis may vary, and each value.
func (p *Prepared) variedKeys(found *findings) {
	for _, axis := range p.Spec.Sweep.Axes {
		if name, schema, _, known := p.backendKeyOf(axis.Key); known {
			found.sweepable("backends."+name, schema, nil, study.Axis{Key: axis.Key})
		}
		for _, value := range axis.Values {
			p.variedKey("sweep.", study.Setting{Key: axis.Key, Value: value}, found)
		}
	}
	for _, group := range p.Spec.Sweep.Groups {
		for _, alternative := range group.Alternatives {
			for _, setting := range alternative.Settings {
				p.variedKey("sweep.groups."+group.Name+"."+alternative.Name+".", setting, found)
			}
		}
	}
	for _, e := range p.Spec.Experiments {
		for _, setting := range e.Settings {
			p.variedKey("experiments."+e.Name+".", setting, found)
		}
	}
}

// backendKeyOf splits a key of a backend whose schema is known into the instance and
// the path in its table.
func (p *Prepared) backendKeyOf(key string) (name string, schema []sdk.Parameter, path string, known bool) {
	rest, ok := strings.CutPrefix(key, "backends.")
	name, path, nested := strings.Cut(rest, ".")
	instance, defined := p.Spec.Backends[name]
	if !defined {
		instance.Plugin = name
	}
	description, known := p.schemas[instance.Plugin]
	return name, description.BackendSchema, path, ok && nested && known
}

func (p *Prepared) variedKey(table string, s study.Setting, found *findings) {
	_, schema, path, known := p.backendKeyOf(s.Key)
	if !known {
		return
	}
	for _, d := range sdk.CheckTable(schema, tableOf(path, s.Value)) {
		about := d.KeyPath == path || strings.HasPrefix(path, d.KeyPath+".") || strings.HasPrefix(d.KeyPath, path+".")
		if about && d.Severity == sdk.SeverityError { // others miss what the tables above give
			found.add(table+s.Key, d.Message, d.Advice)
		}
	}
}

// tableOf is a table that holds one value at a dotted path.
func tableOf(path string, value any) sdk.Table {
	head, rest, nested := strings.Cut(path, ".")
	if nested {
		value = tableOf(rest, value)
	}
	return sdk.Table{head: value}
}

// namedBackends lists the instances that the study, its sweep or its
// experiments name.
func namedBackends(spec *study.Study) []string {
	names := []string{spec.Backend}
	add := func(key string, value any) {
		if name, ok := value.(string); ok && key == "backend" {
			names = append(names, name)
		}
	}
	for _, axis := range spec.Sweep.Axes {
		for _, value := range axis.Values {
			add(axis.Key, value)
		}
	}
	for _, e := range spec.Experiments {
		for _, setting := range e.Settings {
			add(setting.Key, setting.Value)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// given tells whether a table holds a dotted path.
func given(table map[string]any, path string) bool {
	head, rest, nested := strings.Cut(path, ".")
	value, ok := table[head]
	if !ok || !nested {
		return ok
	}
	inner, ok := value.(sdk.Table)
	return ok && given(inner, rest)
}
