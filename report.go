package llem

import (
	"fmt"
	"path/filepath"

	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
)

// Reported is what a result directory says.
type Reported struct {
	Summary report.Summary
	Trials  []result.Trial
	Failed  []result.Trial
	// Interrupted trials are no failures: they were ended from outside.
	Interrupted []result.Trial
	// Note says in one line which factors were used where the run and the
	// settings have different ones; else "".
	Note string
}

// FactorsFrom says which factors for CO2, cost and calibration a report uses.
type FactorsFrom string

// The choices of factors.
const (
	// FactorsDefault are those of the run or, if it had none, of the settings.
	FactorsDefault FactorsFrom = ""
	FactorsStored  FactorsFrom = "stored" // of the run, also if it had none
	FactorsUser    FactorsFrom = "user"   // of the settings
)

// Lost counts the planned trials that failed and were not measured another time.
func (r Reported) Lost() int {
	lost := map[string]bool{}
	for _, t := range r.Failed {
		lost[result.RunDir(t.Cell.ID, t.Block)] = true
	}
	for _, t := range r.Trials {
		delete(lost, result.RunDir(t.Cell.ID, t.Block))
	}
	return len(lost)
}

// read fills the result from the directory, the only interface between
// measuring and reporting, and writes the derived files.
func (r *StudyResult) read(dir *result.Dir, user study.UserConfig) error {
	all := reportOn(dir, user, FactorsUser) // which are those of the run
	r.Summary, r.Trials, r.Failed, r.Interrupted = all.Summary, all.Trials, all.Failed, all.Interrupted
	return all.Write(dir.Path())
}

// Report reads a result directory and derives its summary again. Nothing in the
// directory is changed: other factors would be in its files without anybody's word.
func Report(dir string, user study.UserConfig, from FactorsFrom) (Reported, error) {
	d, err := result.OpenDir(dir)
	if err != nil {
		return Reported{}, err
	}
	return reportOn(d, user, from), nil
}

// Write writes the derived files, summary.json and summary.csv, into a directory that
// is there.
func (r Reported) Write(dir string) error { return report.WriteDerived(dir, r.Summary) }

func reportOn(d *result.Dir, user study.UserConfig, from FactorsFrom) Reported {
	dir := d.Path()
	var r Reported
	var problems []result.Problem
	var without []result.Trial // a result
	r.Trials, without, problems = d.ReadTrials()
	for _, t := range without {
		if t.Status == result.StatusInterrupted {
			r.Interrupted = append(r.Interrupted, t)
		} else {
			r.Failed = append(r.Failed, t)
		}
	}
	stored, err := report.ReadFactors(dir)
	if err != nil && from != FactorsUser {
		problems = append(problems, result.Problem{Code: result.ProblemFactors, File: "factors.json", Message: err.Error()})
	}
	plans, unread := readPlans(dir)
	if problems = append(problems, unread...); len(plans)+len(unread) == 0 && len(r.Trials)+len(without) > 0 {
		problems = append(problems, noPlan)
	}
	o := report.Options{Dir: filepath.Clean(dir)}
	o.Order, o.Baseline = planned(plans)
	o.Factors, r.Note = chooseFactors(stored, report.FactorsOf(user), from)
	r.Summary = report.Summarize(r.Trials, without, o)
	for _, problem := range append(problems, missingTrials(plans, problems, r.Trials, r.Failed)...) {
		r.Summary.AddProblem(problem)
	}
	return r
}

// chooseFactors says which factors count, and what is to be said of it.
func chooseFactors(stored, user *report.Factors, from FactorsFrom) (chosen *report.Factors, note string) {
	switch {
	case from == FactorsStored:
		return stored, ""
	case from == FactorsUser && (stored == nil || stored.Equal(user)):
		return user, ""
	case from == FactorsUser:
		return user, fmt.Sprintf("factors of the settings file (%s) replace those of the run (%s)", user.Text(), stored.Text())
	case stored == nil && user != nil:
		return user, fmt.Sprintf("the run had no factors; those of the settings file are used (%s)", user.Text())
	case stored != nil && user != nil && !stored.Equal(user):
		return stored, fmt.Sprintf("the factors of the run are used (%s), not those of the settings file (%s); --factors=user uses these", stored.Text(), user.Text())
	}
	return stored, ""
}
