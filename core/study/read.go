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
	r.regime()
	r.slo()
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
	for i, name := range s.Energy {
		if slices.Contains(s.Energy[:i], name) {
			r.fail("energy", fmt.Sprintf("%q comes twice, and a source is opened once", name), "remove one of them; two of one plugin are instances with names of their own under [sources]")
			break
		}
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
