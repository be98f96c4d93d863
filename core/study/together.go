package study

import (
	"fmt"
	"slices"
	"strings"
)

// together checks keys that depend on one another, in every cell: a sweep may
// change the mode.
func (r *reader) together() {
	if len(r.problems) > 0 {
		return
	}
	r.conflicts()
	r.unconcerned()
	if len(r.problems) > 0 {
		return
	}
	for cell, err := range r.study.Cells() {
		if err != nil {
			r.problems = append(r.problems, asProblems(err)...)
			return
		}
		r.loadKeys(cell)
		if cell.Model.ID == "" && cell.Model.Path == "" {
			r.failAt("model.id", "id or path is missing", "write id = \"...\" or path = \"...\" under [model]")
		}
		if cell.Workload.SharedPrefixTokens >= cell.Workload.InputTokens {
			r.failAt("workload.shared_prefix_tokens", fmt.Sprintf("%d: expected less than input_tokens = %d", cell.Workload.SharedPrefixTokens, cell.Workload.InputTokens), "make the prefix shorter or the prompts longer")
		}
		if len(r.problems) > 0 {
			return
		}
	}
}

// loadKeys checks that the load's keys fit its mode.
func (r *reader) loadKeys(cell *Cell) {
	l := cell.Load
	needs := map[string][]string{
		"closed": {"concurrency"}, "constant": {"rate"}, "poisson": {"rate"}, "gamma": {"rate", "burstiness"},
	}[l.Mode]
	for key, set := range map[string]bool{"concurrency": l.Concurrency != 0, "rate": l.Rate != 0, "burstiness": l.Burstiness != 0} {
		needed := slices.Contains(needs, key)
		switch {
		case needed && !set:
			r.failAt("load."+key, fmt.Sprintf("it is missing and mode %q needs it", l.Mode), "add it")
		case set && !needed:
			r.failAt("load."+key, fmt.Sprintf("mode %q does not use it", l.Mode), "remove it")
		}
	}
	if l.Mode != "batch" && l.Mode != "closed" {
		r.failAt("load.mode", fmt.Sprintf("%q: this version measures batch and closed loops", l.Mode), `write "batch" or "closed"`)
	}
}

// failAt is fail for a value that the sweep, a group or an experiment may have
// given: the place shown is there.
func (r *reader) failAt(key, message, hint string) {
	r.problems = append(r.problems, r.study.ProblemAt(key, message, hint))
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

// unconcerned refuses settings of backends that they can have no effect on.
func (r *reader) unconcerned() {
	swept := r.study.backends()
	check := func(at, key string, backends []string) {
		rest, ok := strings.CutPrefix(key, "backends.")
		if name, _, _ := strings.Cut(rest, "."); ok && !slices.Contains(backends, name) {
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

func asProblems(err error) Problems {
	if p, ok := err.(Problems); ok { //nolint:errorlint // made by this package, never wrapped
		return p
	}
	return Problems{{Message: err.Error()}}
}
