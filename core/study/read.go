package study

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// reader fills a Study from the parsed tree and collects what is wrong.
type reader struct {
	study    *Study
	src      source
	problems Problems
	given    map[string]bool // keys of studyFields that the file sets
	// meant holds tables that a misspelt or misplaced key probably belongs to.
	// What they lack is not reported: it would be the same mistake again.
	meant map[string]bool
}

func (r *reader) fail(key, message, hint string) {
	r.problems = append(r.problems, r.src.problem(key, message, hint))
}

func (r *reader) read(tree map[string]any) {
	r.given, r.meant = map[string]bool{}, map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		value := tree[key]
		switch key {
		case "backends":
			r.instances(key, value, r.study.Backends)
		case "sources":
			r.instances(key, value, r.study.Sources)
		case "sweep", "experiments":
		default:
			if !r.dotted(key, key) {
				r.keys(key, value)
			}
		}
	}
	// The sweep is checked against all the rest, so it comes last.
	if value, ok := tree["sweep"]; ok {
		r.sweep(value)
	}
	if value, ok := tree["experiments"]; ok {
		r.experiments(value)
	}
	r.missing()
	r.profile()
	r.together()
}

// sections of the file, for hints.
var sections = []string{"model", "workload", "load", "protocol", "backends", "sources", "sweep", "experiments", "slo", "limits", "gpu", "compare"}

// keys reads one key, or a table of keys.
func (r *reader) keys(key string, value any) {
	f, known := findField(studyFields, key)
	if known {
		r.given[key] = true
		if f.unused != "" {
			r.fail(key, f.unused, "remove it: nothing that a study asks for is ignored")
			return
		}
		if err := f.assign(r.study, value); err != nil {
			r.fail(key, err.Error(), f.doc)
		}
		return
	}
	switch table := value.(type) {
	case map[string]any:
		if !isTableName(key) {
			r.unknown(key)
			return
		}
		for _, sub := range slices.Sorted(maps.Keys(table)) {
			if !r.dotted(key+"."+sub, sub) {
				r.keys(key+"."+sub, table[sub])
			}
		}
	default:
		if isTableName(key) {
			r.noTable(key, "a table", value)
			return
		}
		r.unknown(key)
	}
}

// dotted refuses a part of a key that has a dot in it, which only quotes can
// do: "model.id" would look like id in [model], and is not.
func (r *reader) dotted(at, part string) bool {
	if !strings.Contains(part, ".") {
		return false
	}
	hint := "write it without the quotes"
	if strings.Contains(at, "backends.") {
		hint = "a parameter of such a name can be set in [backends.INSTANCE], and not varied"
	}
	r.fail(at, fmt.Sprintf("the quotes make %q one name with a dot in it", part), hint)
	return true
}

// noTable reports a value where tables belong.
func (r *reader) noTable(at, want string, value any) {
	hint := ""
	if _, array := value.([]map[string]any); array {
		hint = "arrays of tables are no part of the format: write [" + at + "] once"
		if slices.Contains([]string{"backends", "sources", "experiments"}, at) {
			hint = "arrays of tables are no part of the format: name each, [" + at + ".NAME]"
		}
	}
	r.fail(at, "expected "+want+", found "+describe(value), hint)
}

func isTableName(key string) bool {
	return slices.ContainsFunc(studyFields, func(f field[Study]) bool { return isUnder(f.key, key) })
}

// unknown reports a key that does not exist, with the nearest that does: among
// the keys of its table first, then elsewhere.
func (r *reader) unknown(key string) {
	table, last := "", key
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
		table, last = key[:dot], key[dot+1:]
	}
	var here []string
	elsewhere := ""
	r.meant[table] = true
	for _, f := range studyFields {
		dot := strings.LastIndexByte(f.key, '.')
		switch {
		case dot < 0 && table == "", dot >= 0 && f.key[:dot] == table:
			here = append(here, f.key[dot+1:])
		case f.key == last:
			elsewhere = "above the first table"
		case f.key[dot+1:] == last:
			elsewhere = "under [" + f.key[:dot] + "]"
			r.meant[f.key[:dot]] = true
		}
	}
	if table == "" {
		here = append(here, sections...)
	}
	hint := ""
	if near := sdk.Nearest(last, here); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
		r.meant[join(table, near)] = true
	} else if elsewhere != "" {
		hint = "it belongs " + elsewhere
	} else {
		slices.Sort(here)
		hint = "known here: " + strings.Join(here, ", ")
	}
	r.fail(key, "unknown key", hint)
}

var instanceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// instances reads [backends.NAME] or [sources.NAME] tables.
func (r *reader) instances(section string, value any, into map[string]Instance) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.noTable(section, "tables ["+section+".NAME]", value)
		return
	}
	places := r.src.byName(section)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		key := section + "." + name
		table, ok := tables[name].(map[string]any)
		if !ok {
			r.noTable(key, "a table", tables[name])
			continue
		}
		if !instanceName.MatchString(name) {
			r.fail(key, "a name has lower-case letters, digits, - and _", "")
			continue
		}
		instance := Instance{Name: name, Plugin: name, Parameters: map[string]any{}, Pos: places[name]}
		for _, parameter := range slices.Sorted(maps.Keys(table)) {
			at := key + "." + parameter
			switch parameter {
			case "plugin", "version":
				text, ok := table[parameter].(string)
				if !ok || text == "" {
					r.fail(at, wrongType("a string", table[parameter]).Error(), "")
					continue
				}
				if parameter == "plugin" {
					instance.Plugin = text
				} else {
					instance.Version = text
				}
			default:
				r.parameter(at, parameter, table[parameter], instance.Parameters)
			}
		}
		into[name] = instance
	}
}

// parameter keeps a plugin's own key, if its value is one that plugins can
// take.
func (r *reader) parameter(at, key string, value any, into map[string]any) {
	normal, err := normalize(value)
	if err != nil {
		r.fail(at, err.Error(), "")
		return
	}
	into[key] = normal
}

// normalize brings TOML values into the contract's types.
func normalize(value any) (any, error) {
	switch x := value.(type) {
	case []map[string]any:
		return nil, fmt.Errorf("arrays of tables ([[...]]) are no part of the format; use named tables, or a list of inline ones")
	case map[string]any, []any, string, bool, int64, float64:
		if deeper(x, mostDepth) {
			return nil, fmt.Errorf("it has lists or tables more than %d deep", mostDepth)
		}
		normal, err := sdk.Normalize(x)
		return normal, err
	}
	return nil, fmt.Errorf("expected a bool, number, string, list or table, found %s", describe(value))
}

// mostDepth bounds how deep a parameter's tables and lists lie in one another;
// real ones have two or three levels.
const mostDepth = 32

func deeper(value any, depth int) bool {
	switch x := value.(type) {
	case []any:
		return depth == 0 || slices.ContainsFunc(x, func(inner any) bool { return deeper(inner, depth-1) })
	case map[string]any:
		if depth == 0 {
			return true
		}
		for _, inner := range x {
			if deeper(inner, depth-1) {
				return true
			}
		}
	}
	return false
}

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
		r.fail(at, "expected a list of values, found "+describe(value), "write "+at+" = [...]")
	}
}

// settable checks that key may be varied and takes value. It returns the
// value in the contract's types, or nil after a problem.
func (r *reader) settable(at, key string, value any) any {
	normal, err := normalize(value)
	if err != nil {
		r.fail(at, err.Error(), "")
		return nil
	}
	if rest, ok := strings.CutPrefix(key, "backends."); ok {
		name, parameter, ok := strings.Cut(rest, ".")
		if !ok || parameter == "plugin" || parameter == "version" {
			r.fail(at, "expected backends.INSTANCE.KEY", "")
			return nil
		}
		if strings.Count(parameter, ".") > mostDepth {
			r.fail(at, fmt.Sprintf("it has more than %d parts", mostDepth), "")
			return nil
		}
		if _, defined := r.study.Backends[name]; !defined && name != r.study.Backend {
			r.fail(at, fmt.Sprintf("there is no [backends.%s]", name), r.nearestBackend(name))
			return nil
		}
		if outer := crossed(r.study.Backends[name].Parameters, parameter); outer != "" {
			r.fail(at, fmt.Sprintf("it lies in %s, which [backends.%s] gives a value that is no table", outer, name), "vary "+outer+", or make it a table")
			return nil
		}
		return normal
	}
	if key == "backend" && normal == "" {
		r.fail(at, "a backend's name is empty", "")
		return nil
	}
	f, known := findField(studyFields, key)
	switch {
	case !known:
		r.fail(at, "it is no key of a study", r.nearestSweepKey(key))
		return nil
	case f.fixed:
		r.fail(at, "it cannot be varied: it is about the execution, not about what is measured", "")
		return nil
	case f.unused != "":
		r.fail(at, f.unused, "remove it: nothing that a study asks for is ignored")
		return nil
	}
	scratch := defaults()
	if err := f.assign(scratch, normal); err != nil {
		r.fail(at, err.Error(), f.doc)
		return nil
	}
	return normal
}

// crossed names the part of a path at which a table holds a plain value.
func crossed(table map[string]any, path string) string {
	head, rest, nested := strings.Cut(path, ".")
	inner, set := table[head]
	if !nested || !set {
		return ""
	}
	next := asMap(inner)
	if next == nil {
		return head
	}
	if deeper := crossed(next, rest); deeper != "" {
		return join(head, deeper)
	}
	return ""
}

func (r *reader) nearestBackend(name string) string {
	names := slices.Sorted(maps.Keys(r.study.Backends))
	if near := sdk.Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if used := r.study.Backend; sdk.Nearest(name, []string{used}) != "" {
		return fmt.Sprintf("the study's backend is %q; one of the two is misspelt", used)
	}
	if len(names) == 0 {
		return "add it, even if it is empty"
	}
	return "there are: " + strings.Join(names, ", ")
}

func (r *reader) nearestSweepKey(key string) string {
	var keys []string
	for _, f := range studyFields {
		if !f.fixed && f.unused == "" {
			keys = append(keys, f.key)
		}
	}
	if near := sdk.Nearest(key, keys); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if r.study.Backend != "" {
		return fmt.Sprintf("a backend's key is written backends.%s.%s", r.study.Backend, key)
	}
	return "a sweep key is the whole path of the key that it varies"
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

func (r *reader) missing() {
	s := r.study
	if s.Name == "" && !r.given["name"] {
		r.fail("name", "required string is missing", `write name = "..." above the first table`)
	}
	swept := slices.ContainsFunc(s.Sweep.Axes, func(a AxisSpec) bool { return a.Key == "backend" })
	alone := len(s.Experiments) > 0 && len(s.Sweep.Axes)+len(s.Sweep.Groups) == 0 // each experiment may name its own
	if s.Backend == "" && !swept && !alone {
		hint := `write backend = "..." above the first table; "llem plugins list" names them`
		if names := slices.Sorted(maps.Keys(s.Backends)); len(names) > 0 {
			hint = fmt.Sprintf("for example backend = %q", names[0])
		}
		r.fail("backend", "required string is missing", hint)
	}
	if s.Name != "" && !studyName.MatchString(s.Name) {
		r.fail("name", fmt.Sprintf("%q names the result directory and so has letters, digits, ., - and _", s.Name), "")
	}
	if len(s.Energy) == 0 {
		r.fail("energy", "the list is empty", `write energy = ["auto"]`)
	}
}

var studyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// profile fills in the times that the file does not give.
func (r *reader) profile() {
	p := &r.study.Protocol
	times := profiles[p.Profile]
	for _, one := range []struct {
		key  string
		at   *float64
		from float64
	}{
		{"protocol.idle_s", &p.IdleS, times.IdleS},
		{"protocol.conditioning_s", &p.ConditioningS, times.ConditioningS},
		{"protocol.window_s", &p.WindowS, times.WindowS},
	} {
		if !r.given[one.key] {
			*one.at = one.from
		}
	}
}
