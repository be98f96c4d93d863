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
}

func (f *findings) add(key, message, advice string) {
	f.keep(f.spec.ProblemAt(key, message, advice))
}

// in adds a finding about one cell, at the place that gave the cell its value.
func (f *findings) in(cell *study.Cell, key, message, advice string) {
	f.keep(f.spec.ProblemIn(cell, key, message, advice))
}

func (f *findings) keep(problem study.Problem) {
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
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

// sweepable refuses a sweep over a key that is no part of the measurement.
func (f *findings) sweepable(schema []sdk.Parameter, cell study.Cell, axis study.Axis) {
	for _, parameter := range schema {
		key := "backends." + cell.Instance + "." + parameter.Key
		if axis.Key == key && !parameter.Sweepable {
			f.add("sweep."+key, fmt.Sprintf("cannot be swept: its role is %s, and only what is measured varies", parameter.Role), "")
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
	return "backends." + cell.Instance + "." + path
}
