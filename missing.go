package llem

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
)

// noPlan is of trials beside which no plan lies, though each run writes one before the
// first trial: others that are gone could not be missed.
var noPlan = result.Problem{Code: result.ProblemPlan, File: "plan-1.json", Message: "plan-1.json is missing: whether trials are missing is not known; copy it back"}

// readPlans reads the plans of a result directory. What cannot be read is named
// in problems.
func readPlans(dir string) (plans []plan.Plan, problems []result.Problem) {
	names, err := fs.Glob(os.DirFS(dir), "plan-*.json") // brackets in dir are no pattern
	if err != nil {
		return nil, []result.Problem{{Code: result.ProblemPlan, Message: err.Error()}}
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		var p plan.Plan
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			problems = append(problems, result.Problem{Code: result.ProblemPlan, File: name, Message: fmt.Sprintf("read %s: %v; whether trials are missing is not known", path, err)})
			continue
		}
		plans = append(plans, p)
	}
	return plans, problems
}

// planned is what reports need to know of plans: the IDs of the cells in the
// study's order, and the baseline that it declares, or "".
func planned(plans []plan.Plan) (order []string, baseline string) {
	for _, p := range plans {
		for _, c := range p.Cells {
			if !slices.Contains(order, c.ID) {
				order = append(order, c.ID)
			}
		}
		baseline = cmp.Or(baseline, p.Baseline)
	}
	return order, baseline
}

// missingTrials holds the trials of a result directory against its plans: a trial that is
// neither published nor failed was never run, was interrupted, or was lost. Those that known problems
// are about have been told of.
func missingTrials(plans []plan.Plan, known []result.Problem, lists ...[]result.Trial) []result.Problem {
	there := map[string]bool{}
	for _, list := range lists {
		for _, t := range list {
			there[result.RunDir(t.Cell.ID, t.Block)] = true
		}
	}
	told := func(dir string) bool {
		return slices.ContainsFunc(known, func(p result.Problem) bool { return strings.HasPrefix(p.File, dir+"/") })
	}
	var problems []result.Problem
	for _, p := range plans {
		for _, cell := range p.Cells {
			var blocks []string
			for _, b := range p.Blocks {
				if dir := result.RunDir(cell.ID, b.Index); !there[dir] && !told(dir) {
					blocks = append(blocks, strconv.Itoa(b.Index+1))
				}
			}
			if len(blocks) > 0 {
				problems = append(problems, result.Problem{Code: result.ProblemMissing, Message: fmt.Sprintf("%s: %d of %d planned trials are missing (block %s): they were not run or interrupted, or are lost",
					cell.Label, len(blocks), len(p.Blocks), strings.Join(blocks, ", "))})
			}
		}
	}
	return problems
}
