package study

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

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
