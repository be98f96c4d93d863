package llem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// CodeSameDeployment is the warning that cells differ only in what has no effect.
const CodeSameDeployment = "same_deployment"

// checkDormant finds cells that are one deployment by what their plugins call
// dormant: measured apart they would be compared with themselves. An axis that has
// no effect in any of its cells, and an experiment that is another cell, are
// refused; cells of a grid of which other cells need the axis are a warning.
func (p *Prepared) checkDormant(_ context.Context, found *findings) error {
	if !slices.ContainsFunc(p.Checks, func(check sdk.CellCheck) bool { return slices.ContainsFunc(check.Diagnostics, isDormant) }) {
		return nil
	}
	defaults := map[string]map[string]string{} // by plugin
	for plugin, description := range p.schemas {
		defaults[plugin] = map[string]string{}
		defaultsOf(parametersOf, description.BackendSchema, defaults[plugin])
	}
	var cells []effective
	for i := range p.Cells {
		// A probe is as its cell, whose finding it would repeat.
		if cell := &p.Cells[i]; !found.refused[cell] && !cell.Probe {
			cells = append(cells, effectOf(cell, p.Checks[i].Diagnostics, defaults[cell.Plugin]))
		}
	}
	inert := false
	for _, axis := range axesOf(cells) {
		inert = refuseInert(axis, cells, found) || inert
	}
	if !inert { // else these are its consequences
		p.sameDeployments(cells, found)
	}
	return nil
}

// effective is a cell with what of its definition has an effect.
type effective struct {
	*study.Cell
	all     map[string]string // the settings, by path
	live    string            // those with an effect, as one text
	dormant map[string]sdk.Diagnostic
}

func isDormant(d sdk.Diagnostic) bool { return d.Severity == sdk.SeverityDormant }

// parametersOf is where a definition holds the plugin's own table.
const parametersOf = "parameters."

// effectOf leaves out of a cell's definition what its plugin calls dormant, and
// parameters that have their defaults: to name one is to leave it alone.
func effectOf(cell *study.Cell, diagnostics []sdk.Diagnostic, defaults map[string]string) effective {
	e := effective{Cell: cell, all: settingsOf(cell.Definition), dormant: map[string]sdk.Diagnostic{}}
	for _, d := range diagnostics {
		if isDormant(d) {
			path := studyKey(cell, d.KeyPath)
			if own, ok := strings.CutPrefix(path, "backends."+cell.Instance+"."); ok {
				path = parametersOf + own
			}
			e.dormant[path] = d
		}
	}
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(e.all)) {
		if _, dead := e.reason(path); !dead && defaults[path] != e.all[path] {
			lines = append(lines, path+" = "+e.all[path])
		}
	}
	e.live = strings.Join(lines, "\n")
	return e
}

// reason is why the setting at a path has no effect.
func (e effective) reason(path string) (sdk.Diagnostic, bool) {
	for key, d := range e.dormant {
		if path == key || strings.HasPrefix(path, key+".") {
			return d, true
		}
	}
	return sdk.Diagnostic{}, false
}

// settingsOf are the values of a definition as texts, by dotted path.
func settingsOf(definition string) map[string]string {
	decoder := json.NewDecoder(bytes.NewReader([]byte(definition)))
	decoder.UseNumber()
	var table map[string]any
	if err := decoder.Decode(&table); err != nil {
		panic("llem: a cell's definition does not decode: " + err.Error())
	}
	all := map[string]string{}
	var walk func(prefix string, table map[string]any)
	walk = func(prefix string, table map[string]any) {
		for key, value := range table {
			if inner, nested := value.(map[string]any); nested {
				walk(prefix+key+".", inner)
				continue
			}
			all[prefix+key] = encoded(value)
		}
	}
	walk("", table)
	return all
}

// defaultsOf adds the defaults of a schema, as settingsOf has values.
func defaultsOf(prefix string, schema []sdk.Parameter, all map[string]string) {
	for _, p := range schema {
		if p.Default != nil {
			all[prefix+p.Key] = encoded(p.Default)
		}
		defaultsOf(prefix+p.Key+".", p.Children, all)
	}
}

func encoded(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("llem: a checked value does not encode: " + err.Error())
	}
	return string(text)
}

// axesOf lists what varies, in the order of the cells.
func axesOf(cells []effective) []string {
	var keys []string
	for _, c := range cells {
		for _, axis := range c.Axes {
			if !slices.Contains(keys, axis.Key) {
				keys = append(keys, axis.Key)
			}
		}
	}
	return keys
}

// refuseInert refuses an axis if cells that differ in it alone are always one
// deployment.
func refuseInert(key string, cells []effective, found *findings) bool {
	alike := map[string][]effective{} // by their values on the other axes
	var along []effective
	for _, c := range cells {
		at, has := "", false
		for _, axis := range c.Axes {
			if axis.Key == key {
				has = true
			} else {
				at += axis.Key + "=" + encoded(axis.Value) + "\n"
			}
		}
		if has {
			alike[at], along = append(alike[at], c), append(along, c)
		}
	}
	var reasons []string
	for _, group := range alike {
		for _, c := range group[1:] {
			why := differsInVain(group[0], c)
			if len(why) == 0 {
				return false
			}
			reasons = append(reasons, why...)
		}
	}
	if len(reasons) == 0 {
		return false
	}
	found.add("sweep."+key, fmt.Sprintf("it has no effect in any of its cells (%s): %s", labels(along), joined(reasons)),
		"give it what it needs, or take it out of the sweep: as it is, one deployment would be measured under several names and compared with itself")
	return true
}

// differsInVain says why two cells are one deployment though their settings
// differ, or nothing where they are two or nobody says that they are one.
func differsInVain(a, b effective) (reasons []string) {
	if a.live != b.live {
		return nil
	}
	paths := maps.Clone(a.all)
	maps.Copy(paths, b.all)
	for path := range paths {
		if a.all[path] == b.all[path] {
			continue
		}
		for _, e := range []effective{a, b} {
			if d, dead := e.reason(path); dead {
				reasons = append(reasons, d.KeyPath+": "+d.Message)
			}
		}
	}
	return reasons
}

// sameDeployments tells of cells that are one deployment for other reasons than an
// axis without any effect.
func (p *Prepared) sameDeployments(cells []effective, found *findings) {
	var order []string
	same := map[string][]effective{}
	reasons := map[string][]string{}
	for _, c := range cells {
		first, known := same[c.live]
		if !known {
			order = append(order, c.live)
			same[c.live] = []effective{c}
			continue
		}
		why := differsInVain(first[0], c)
		switch {
		case len(why) == 0: // they differ in what is a default, or not known to be none
		case c.Experiment != "":
			found.add("experiments."+c.Experiment, fmt.Sprintf("it differs from %q only in what has no effect: %s", first[0].Label, joined(why)),
				"give that what it needs, or remove one of the two: they are one deployment")
		default:
			same[c.live], reasons[c.live] = append(first, c), append(reasons[c.live], why...)
		}
	}
	for _, live := range order {
		if len(same[live]) < 2 {
			continue
		}
		w := sdk.Warning{Code: CodeSameDeployment, Message: fmt.Sprintf(
			"%d cells are one deployment, measured under several names (%s): they differ only in what has no effect: %s",
			len(same[live]), labels(same[live]), joined(reasons[live]))}
		if !slices.Contains(p.warnings, w) {
			p.warnings = append(p.warnings, w)
		}
	}
}

// mostLabels are named in a message; of more their number is.
const mostLabels = 4

func labels(cells []effective) string {
	var names []string
	for _, c := range cells[:min(len(cells), mostLabels)] {
		names = append(names, c.Label)
	}
	if more := len(cells) - mostLabels; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, "; ")
}

// joined names each reason once.
func joined(reasons []string) string {
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "; ")
}
