package llem

import (
	"fmt"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// findings collects what is wrong with a study, each problem once: many cells
// share a key.
type findings struct {
	spec *study.Study
	list study.Problems
	seen map[string]bool
	// refused are the cells that something was found about: whatever else is
	// wrong with them may be a consequence.
	refused map[*study.Cell]bool
}

func newFindings(spec *study.Study) *findings {
	return &findings{spec: spec, seen: map[string]bool{}, refused: map[*study.Cell]bool{}}
}

// err is all that was found, by place, or nil.
func (f *findings) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return sorted(f.list)
}

// sorted orders problems by place. What several have in common besides their
// first line, such as where plugins were looked for, is told once.
func sorted(list study.Problems) study.Problems {
	list.Sort()
	told := map[string]bool{}
	for i := range list {
		first, rest, more := strings.Cut(list[i].Message, "\n")
		if more && told[rest] {
			list[i].Message = first + " (see above)"
		}
		told[rest] = true
	}
	return list
}

func (f *findings) add(key, message, advice string) {
	f.keep(f.spec.ProblemAt(key, message, advice))
}

// in adds a finding about one cell, at the place that gave the cell its value.
func (f *findings) in(cell *study.Cell, key, message, advice string) {
	f.refused[cell] = true
	f.keep(f.spec.ProblemIn(cell, key, message, advice))
}

func (f *findings) keep(problem study.Problem) {
	if id := problem.Error(); !f.seen[id] {
		f.seen[id] = true
		f.list = append(f.list, problem)
	}
}

// diagnostics adds those that are errors, all about one cell.
func (f *findings) diagnostics(cell *study.Cell, list []sdk.Diagnostic) {
	for _, d := range list {
		if d.Severity == sdk.SeverityError {
			f.in(cell, studyKey(cell, d.KeyPath), d.Message, d.Advice)
		}
	}
}

// sweepable refuses a sweep over a key that is no part of the measurement, at
// any depth of the plugin's table. Without a cell there are none yet to be refused.
func (f *findings) sweepable(prefix string, schema []sdk.Parameter, cell *study.Cell, axis study.Axis) {
	for _, parameter := range schema {
		key := prefix + "." + parameter.Key
		refuse := func(why string) {
			if cell != nil {
				f.refused[cell] = true
			}
			f.add("sweep."+key, "cannot be swept: "+why, "")
		}
		switch {
		case strings.HasPrefix(axis.Key, key+"."):
			f.sweepable(key, parameter.Children, cell, axis)
		case axis.Key != key || parameter.Sweepable && !parameter.Secret:
		case parameter.Secret:
			refuse("it is a secret, and none of what is measured")
		default:
			refuse(fmt.Sprintf("its role is %s, and only what is measured varies", parameter.Role))
		}
	}
}

// studyKey turns a plugin's key path into the study's: relative to the
// instance's table, unless it starts with a section of the study.
func studyKey(cell *study.Cell, path string) string {
	for _, section := range []string{"model.", "workload.", "load.", "protocol."} {
		if strings.HasPrefix(path, section) {
			return path
		}
	}
	return strings.TrimSuffix("backends."+cell.Instance+"."+path, ".") // some findings are of no key
}
