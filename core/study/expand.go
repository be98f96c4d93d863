package study

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// A study of more cells would run for years; mostAxes is axes and groups.
const (
	mostCells = 100_000
	mostAxes  = 100
)

// Expand returns all cells of a study, and after them their probes if it asks
// for any.
func Expand(s *Study) ([]Cell, error) {
	var cells []Cell
	for cell, err := range s.Cells() {
		if err != nil {
			return nil, err
		}
		cells = append(cells, *cell)
	}
	if s.Protocol.PhaseProbes {
		if !slices.ContainsFunc(cells, Cell.probeable) {
			return nil, Problems{s.ProblemAt("protocol.phase_probes",
				"no cell can have a probe: there are none in open loops, with natural lengths, and of one output token", "remove it")}
		}
		cells = withProbes(cells)
	}
	return cells, nil
}

// Cells yields the cells in a fixed order: the sweep's, the last axis turning
// fastest, then the explicit experiments. A study without a sweep and with
// experiments has those alone. Alternatives of a group that come out equal
// because their settings do not concern a backend are one for that backend;
// cells that come out equal for any other reason are a Problem.
func (s *Study) Cells() iter.Seq2[*Cell, error] {
	return func(yield func(*Cell, error) bool) {
		seen := map[string]origin{}
		if !s.countable() {
			yield(nil, Problems{s.ProblemAt("sweep", fmt.Sprintf("it has more than %d cells", mostCells), "split the study")})
			return
		}
		give := func(cell *Cell) bool {
			if before, double := seen[cell.ID]; double {
				yield(nil, Problems{s.sameCell(cell, before)})
				return false
			}
			seen[cell.ID] = origin{cell.Instance, cell.Label}
			return yield(cell, nil)
		}
		if s.hasGrid() {
			for _, backend := range s.backends() {
				if !s.product(backend, s.dimensions(backend), nil, give) {
					return
				}
			}
		}
		for _, e := range s.Experiments {
			backend := s.backendOf(e)
			if backend == "" {
				yield(nil, Problems{s.ProblemAt("experiments."+e.Name, "it names no backend and the study has none", "")})
				return
			}
			cell := s.cell(backend, []choice{{settings: e.Settings}})
			cell.Label, cell.Experiment = e.Name, e.Name
			if !give(cell) {
				return
			}
		}
	}
}

// hasGrid tells whether there are cells beside the explicit experiments.
func (s *Study) hasGrid() bool {
	return len(s.Sweep.Axes)+len(s.Sweep.Groups) > 0 || len(s.Experiments) == 0
}

// countable tells whether the study has at most mostCells cells, without making
// any.
func (s *Study) countable() bool {
	total := len(s.Experiments)
	if !s.hasGrid() {
		return total <= mostCells
	}
	for _, backend := range s.backends() {
		product := 1
		for _, dimension := range s.dimensions(backend) {
			if product *= len(dimension); product > mostCells {
				return false
			}
		}
		total += product
	}
	return total <= mostCells
}

// origin is what a message says of an earlier cell: the cells themselves are
// not kept.
type origin struct{ instance, label string }

// sameCell is the Problem of two cells that would measure the same.
func (s *Study) sameCell(cell *Cell, before origin) Problem {
	key := "sweep"
	switch {
	case cell.Experiment != "":
		key = "experiments." + cell.Experiment
	case cell.Instance != before.instance:
		key = "backends." + cell.Instance
		return s.ProblemAt(key, fmt.Sprintf("it measures the same as [backends.%s]", before.instance), "remove one of them, or let them differ")
	case len(s.Sweep.Groups) > 0:
		key = "sweep.groups"
	}
	return s.ProblemAt(key, fmt.Sprintf("%q is the same as %q", cell.Label, before.label), "remove one of them")
}

// backends lists the instances that the sweep goes over.
func (s *Study) backends() []string {
	for _, axis := range s.Sweep.Axes {
		if axis.Key == "backend" {
			var names []string
			for _, v := range axis.Values {
				names = append(names, v.(string))
			}
			return names
		}
	}
	return []string{s.Backend}
}

// backendOf is the instance that an experiment uses; empty when nothing names
// one.
func (s *Study) backendOf(e Experiment) string {
	for _, setting := range e.Settings {
		if name, ok := setting.Value.(string); ok && setting.Key == "backend" {
			return name
		}
	}
	return s.Backend
}

// choice is one point of one dimension.
type choice struct {
	label    string
	settings []Setting
	axis     *Axis
}

// dimensions are the axes and groups that concern a backend.
func (s *Study) dimensions(backend string) [][]choice {
	var all [][]choice
	if slices.ContainsFunc(s.Sweep.Axes, func(a AxisSpec) bool { return a.Key == "backend" }) {
		all = append(all, []choice{{label: backend, axis: &Axis{Key: "backend", Value: backend}}})
	}
	for _, axis := range s.Sweep.Axes {
		if axis.Key == "backend" || !concerns(axis.Key, backend) {
			continue
		}
		var points []choice
		for _, v := range axis.Values {
			points = append(points, choice{
				label:    fmt.Sprintf("%s=%v", axis.Key[strings.LastIndexByte(axis.Key, '.')+1:], v),
				settings: []Setting{{axis.Key, v}}, axis: &Axis{Key: axis.Key, Value: v},
			})
		}
		all = append(all, points)
	}
	for _, group := range s.Sweep.Groups {
		var points []choice
		for _, alternative := range group.Alternatives {
			var settings []Setting
			for _, setting := range alternative.Settings {
				if concerns(setting.Key, backend) {
					settings = append(settings, setting)
				}
			}
			if slices.ContainsFunc(points, func(p choice) bool { return sameSettings(p.settings, settings) }) {
				continue // alternatives differ, so the difference is another backend's
			}
			points = append(points, choice{
				label: group.Name + "=" + alternative.Name, settings: settings,
				axis: &Axis{Key: "groups." + group.Name, Value: alternative.Name},
			})
		}
		if len(points) == 1 && len(points[0].settings) == 0 && len(group.Alternatives) > 1 {
			continue // the group is another backend's altogether
		}
		all = append(all, points)
	}
	return all
}

// sameSettings compares two lists of settings, which are sorted by key.
func sameSettings(a, b []Setting) bool {
	return slices.EqualFunc(a, b, func(a, b Setting) bool {
		return a.Key == b.Key && canonicalText(a.Value) == canonicalText(b.Value)
	})
}

// concerns tells whether a key matters to cells of a backend.
func concerns(key, backend string) bool {
	return !isUnder(key, "backends") || isUnder(key, "backends."+backend)
}

// product walks all combinations depth first.
func (s *Study) product(backend string, dimensions [][]choice, chosen []choice, give func(*Cell) bool) bool {
	if len(dimensions) == 0 {
		return give(s.cell(backend, chosen))
	}
	for _, point := range dimensions[0] {
		if !s.product(backend, dimensions[1:], append(chosen[:len(chosen):len(chosen)], point), give) {
			return false
		}
	}
	return true
}

// cell applies choices to the study and takes a cell from it.
func (s *Study) cell(backend string, chosen []choice) *Cell {
	varied := *s
	instance, ok := s.Backends[backend]
	if !ok {
		instance = Instance{Name: backend, Plugin: backend}
	}
	parameters := maps.Clone(instance.Parameters)
	if parameters == nil {
		parameters = map[string]any{}
	}
	var labels []string
	var axes []Axis
	for _, c := range chosen {
		if c.label != "" {
			labels = append(labels, c.label)
		}
		if c.axis != nil {
			axes = append(axes, *c.axis)
		}
		for _, setting := range c.settings {
			if path, ok := strings.CutPrefix(setting.Key, "backends."+backend+"."); ok {
				set(parameters, path, setting.Value)
				continue
			}
			if f, known := findField(studyFields, setting.Key); known {
				// Checked when the file was read.
				if err := f.assign(&varied, setting.Value); err != nil {
					panic(fmt.Sprintf("study: %s: %v", setting.Key, err))
				}
			}
		}
	}
	cell := &Cell{
		Label: strings.Join(labels, " "), Instance: instance.Name, Plugin: instance.Plugin, Version: instance.Version,
		Parameters: parameters, Model: varied.Model, Workload: varied.Workload, Load: varied.Load,
		Protocol: varied.Protocol, Axes: axes,
	}
	if cell.Label == "" {
		cell.Label = instance.Name
	}
	cell.Identify(nil)
	return cell
}

// set puts a value at a dotted path, copying the tables on its way.
func set(table map[string]any, path string, value any) {
	head, rest, nested := strings.Cut(path, ".")
	if !nested {
		table[head] = value
		return
	}
	inner := sdk.Table{}
	maps.Copy(inner, asMap(table[head]))
	set(inner, rest, value)
	table[head] = inner
}

// asMap returns a table under either of its two types.
func asMap(v any) map[string]any {
	switch x := v.(type) {
	case map[string]any:
		return x
	case sdk.Table:
		return x
	}
	return nil
}
