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
	p.findSources(ctx, found)
	p.checkSources(found)
	if ctx.Err() != nil {
		return nil
	}
	return found.list
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
