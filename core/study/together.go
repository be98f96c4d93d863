package study

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// together checks keys that depend on one another, in every cell: a sweep may
// change the mode. A table that has a problem of its own is left out, since
// what it lacks or has too much may be that same mistake.
func (r *reader) together() {
	r.conflicts()
	if !r.troubled("backend") {
		r.unconcerned()
	}
	faulty := len(r.problems) > 0
	checkLoad, checkModel, checkWorkload := !r.troubled("load"), !r.troubled("model"), !r.troubled("workload")
	said := map[string]bool{}
	say := func(p Problem) {
		if once := fmt.Sprint(p.Key, p.Pos); !said[once] {
			said[once] = true
			r.problems = append(r.problems, p)
		}
	}
	for cell, err := range r.study.Cells() {
		if err != nil {
			// In a faulty study cells may be equal, or have no backend, just
			// because something was left out above.
			if !faulty {
				r.problems = append(r.problems, asProblems(err)...)
			}
			return
		}
		if checkLoad {
			r.loadKeys(cell, say)
		}
		if checkModel && cell.Model.ID == "" && cell.Model.Path == "" {
			say(r.study.ProblemIn(cell, "model.id", "id or path is missing", "write id = \"...\" or path = \"...\" under [model]"))
		}
		if w := cell.Workload; checkWorkload && w.SharedPrefixTokens >= w.InputTokens {
			say(r.study.ProblemIn(cell, "workload.shared_prefix_tokens",
				fmt.Sprintf("%d: expected less than input_tokens = %d", w.SharedPrefixTokens, w.InputTokens), "make the prefix shorter or the prompts longer"))
		}
	}
}

// troubled tells whether a problem was found about a table, be it in the
// sweep, a group or an experiment, or about a key that was meant for it.
func (r *reader) troubled(table string) bool {
	return r.meant[table] || slices.ContainsFunc(r.problems, func(p Problem) bool {
		return strings.Contains("."+p.Key+".", "."+table+".")
	})
}

// conflicts refuses a key that two axes or groups set: one of them would win
// and the other be ignored.
func (r *reader) conflicts() {
	type owner struct{ key, by string }
	var owners []owner
	claim := func(key, by, at string) {
		for _, o := range owners {
			if o.by != by && (o.key == key || isUnder(o.key, key) || isUnder(key, o.key)) {
				r.fail(at, fmt.Sprintf("%s sets it too", o.by), "vary it in one of them")
				return
			}
		}
		owners = append(owners, owner{key, by})
	}
	for _, axis := range r.study.Sweep.Axes {
		claim(axis.Key, "sweep."+axis.Key, "sweep."+axis.Key)
	}
	for _, group := range r.study.Sweep.Groups {
		for _, alternative := range group.Alternatives {
			for _, setting := range alternative.Settings {
				by := "sweep.groups." + group.Name
				claim(setting.Key, by, by+"."+alternative.Name+"."+setting.Key)
			}
		}
	}
}

// unconcerned refuses settings of backends that they can have no effect on. If
// the name of the backend is rather what is misspelt, that is told instead.
func (r *reader) unconcerned() {
	swept := r.study.backends()
	blamed := map[string]bool{}
	check := func(at, key string, backends []string) {
		rest, ok := strings.CutPrefix(key, "backends.")
		if name, _, _ := strings.Cut(rest, "."); ok && !slices.Contains(backends, name) {
			for _, used := range backends {
				if _, defined := r.study.Backends[used]; !defined && sdk.Nearest(used, []string{name}) != "" {
					if !blamed[used] {
						r.fail(r.namedAt(used), fmt.Sprintf("there is no [backends.%s]", used), fmt.Sprintf("did you mean %q?", name))
					}
					blamed[used] = true
					return
				}
			}
			r.fail(at, fmt.Sprintf("no cell here uses the backend %q", name), "remove it, or vary the backend")
		}
	}
	for _, axis := range r.study.Sweep.Axes {
		check("sweep."+axis.Key, axis.Key, swept)
	}
	for _, group := range r.study.Sweep.Groups {
		for _, alternative := range group.Alternatives {
			for _, setting := range alternative.Settings {
				check("sweep.groups."+group.Name+"."+alternative.Name+"."+setting.Key, setting.Key, swept)
			}
		}
	}
	for _, e := range r.study.Experiments {
		for _, setting := range e.Settings {
			check("experiments."+e.Name+"."+setting.Key, setting.Key, []string{r.study.backendOf(e)})
		}
	}
}

// namedAt is the key that makes cells use a backend.
func (r *reader) namedAt(backend string) string {
	for _, axis := range r.study.Sweep.Axes {
		if axis.Key == "backend" && slices.Contains(axis.Values, any(backend)) {
			return "sweep.backend"
		}
	}
	for _, e := range r.study.Experiments {
		if backend != r.study.Backend && r.study.backendOf(e) == backend {
			return "experiments." + e.Name + ".backend"
		}
	}
	return "backend"
}

func asProblems(err error) Problems {
	if p, ok := err.(Problems); ok { //nolint:errorlint // made by this package, never wrapped
		return p
	}
	return Problems{{Message: err.Error()}}
}
