package study

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// sweep reads axes and groups.
func (r *reader) sweep(value any) {
	table, ok := value.(map[string]any)
	if !ok {
		r.noTable("sweep", "a table", value)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if key == "groups" {
			r.groups(table[key])
			continue
		}
		if r.dotted("sweep."+key, key) {
			continue
		}
		r.axes(key, table[key])
	}
	if n := len(r.study.Sweep.Axes) + len(r.study.Sweep.Groups); n > mostAxes {
		r.fail("sweep", fmt.Sprintf("it has %d axes and groups, more than %d", n, mostAxes), "split the study")
	}
	// A swept backend comes first: the other axes depend on it.
	slices.SortStableFunc(r.study.Sweep.Axes, func(a, b AxisSpec) int {
		return boolOrder(b.Key == "backend") - boolOrder(a.Key == "backend")
	})
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *reader) axes(key string, value any) {
	at := "sweep." + key
	switch x := value.(type) {
	case map[string]any:
		for _, sub := range slices.Sorted(maps.Keys(x)) {
			if !r.dotted(at+"."+sub, sub) {
				r.axes(key+"."+sub, x[sub])
			}
		}
	case []any:
		if len(x) == 0 {
			r.fail(at, "the list is empty", "a sweep needs one value at least")
			return
		}
		axis := AxisSpec{Key: key}
		seen := map[string]bool{}
		for _, v := range x {
			normal := r.settable(at, key, v)
			if normal == nil {
				return
			}
			text := canonicalText(normal)
			if seen[text] {
				r.fail(at, shorten(fmt.Sprint(v))+" comes twice", "remove one of them")
				return
			}
			seen[text] = true
			axis.Values = append(axis.Values, normal)
		}
		r.study.Sweep.Axes = append(r.study.Sweep.Axes, axis)
	default:
		r.fail(at, "expected a list of values, found "+describe(value), "write "+at+" = "+asList(value))
	}
}

// asList shows a value of its own in the form of a list.
func asList(value any) string {
	switch x := value.(type) {
	case string:
		return fmt.Sprintf("[%q]", shorten(x))
	case bool, int64:
		return fmt.Sprintf("[%v]", x)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return fmt.Sprintf("[%.1f]", x)
		}
		return fmt.Sprintf("[%v]", x)
	}
	return "[...]"
}

// groups reads [sweep.groups.GROUP.ALTERNATIVE] tables.
func (r *reader) groups(value any) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.noTable("sweep.groups", "tables [sweep.groups.GROUP.ALTERNATIVE]", value)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		at := "sweep.groups." + name
		if r.dotted(at, name) {
			continue
		}
		alternatives, ok := tables[name].(map[string]any)
		if !ok || len(alternatives) == 0 {
			r.fail(at, "expected one table for each alternative", fmt.Sprintf("write [%s.none]", at))
			continue
		}
		group := Group{Name: name}
		for _, alternative := range slices.Sorted(maps.Keys(alternatives)) {
			if r.dotted(at+"."+alternative, alternative) {
				continue
			}
			settings, ok := alternatives[alternative].(map[string]any)
			if !ok {
				r.noTable(at+"."+alternative, "a table", alternatives[alternative])
				continue
			}
			before := len(r.problems)
			next := Alternative{Name: alternative, Settings: r.settings(at+"."+alternative, "", settings)}
			if slices.ContainsFunc(next.Settings, func(s Setting) bool { return s.Key == "backend" }) {
				r.fail(at+"."+alternative+".backend", "a group cannot vary the backend", "write sweep.backend = [...]")
				continue
			}
			if len(r.problems) > before {
				continue // what is left of it may look like another one
			}
			if i := slices.IndexFunc(group.Alternatives, func(a Alternative) bool { return sameSettings(a.Settings, next.Settings) }); i >= 0 {
				r.fail(at+"."+alternative, fmt.Sprintf("it sets the same as %q", group.Alternatives[i].Name), "remove one of them")
				continue
			}
			group.Alternatives = append(group.Alternatives, next)
		}
		r.study.Sweep.Groups = append(r.study.Sweep.Groups, group)
	}
}

// settings reads a table of keys and values, at any depth. As everywhere in a
// study, a path sets the one key that it names and leaves its neighbours as
// they are: nested.a = 1 is about a; nested = { a = 1 } is about nested.
func (r *reader) settings(at, prefix string, table map[string]any) []Setting {
	var list []Setting
	for _, sub := range slices.Sorted(maps.Keys(table)) {
		key := join(prefix, sub)
		if r.dotted(at+"."+key, sub) {
			continue
		}
		nested, isTable := table[sub].(map[string]any)
		_, isField := findField(studyFields, key)
		parameter := strings.Count(key, ".") >= 2 && isUnder(key, "backends")
		if isTable && !isField && !(parameter && r.src.inline[at+"."+key]) {
			if parameter && len(nested) == 0 {
				r.fail(at+"."+key, "the table is empty and sets nothing", "write "+sub+" = {} for an empty one, or remove it")
				continue
			}
			list = append(list, r.settings(at, key, nested)...)
			continue
		}
		if normal := r.settable(at+"."+key, key, table[sub]); normal != nil {
			list = append(list, Setting{Key: key, Value: normal})
		}
	}
	return list
}

func (r *reader) experiments(value any) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.noTable("experiments", "tables [experiments.NAME]", value)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		at := "experiments." + name
		if r.dotted(at, name) {
			continue
		}
		table, ok := tables[name].(map[string]any)
		if !ok {
			r.noTable(at, "a table", tables[name])
			continue
		}
		r.study.Experiments = append(r.study.Experiments, Experiment{Name: name, Settings: r.settings(at, "", table)})
	}
}
