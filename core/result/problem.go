package result

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Problem is something that a result directory lacks, or that cannot be read.
type Problem struct {
	// Code is one of the Problem constants.
	Code string `json:"code"`
	// File is relative to the result directory; "" if it is about none.
	File string `json:"file,omitempty"`
	// Message is a sentence that names the file.
	Message string `json:"message"`
}

func (p Problem) Error() string { return p.Message }

// Codes of problems.
const (
	ProblemDir         = "directory_unreadable"
	ProblemTrial       = "trial_unreadable" // a record that is damaged, or of a newer llem
	ProblemMisplaced   = "trial_misplaced"  // a record that does not belong where it lies
	ProblemUnfinished  = "trial_unfinished" // an attempt without a record: it is running or lost
	ProblemUnpublished = "trial_unpublished"
	ProblemMissing     = "trials_missing" // planned, and neither measured nor failed
	ProblemNoSeries    = "series_missing" // a Parquet file that the record says was written
	ProblemSeries      = "series_unreadable"
	ProblemChanged     = "file_changed" // a file of a trial is not the one that its record describes
	ProblemPlan        = "plan_unreadable"
	ProblemFactors     = "factors_unreadable"
	// ProblemNoFile is of a file that no figure rests on, a log, which is gone or cannot be read.
	ProblemNoFile = "file_missing"
	// ProblemSpare is an attempt without a result whose trial lies in runs/: nothing is
	// lacking.
	ProblemSpare = "attempt_left"
)

// ProblemCodes are all of them.
func ProblemCodes() []string {
	return []string{
		ProblemDir, ProblemTrial, ProblemMisplaced, ProblemUnfinished, ProblemUnpublished, ProblemMissing, ProblemNoSeries, ProblemSeries,
		ProblemChanged, ProblemPlan, ProblemFactors, ProblemNoFile, ProblemSpare,
	}
}

// Harmless tells whether all that figures rest on is there.
func (p Problem) Harmless() bool { return p.Code == ProblemSpare || p.Code == ProblemNoFile }

func problemOf(code, file string, err error) Problem {
	return Problem{Code: code, File: filepath.ToSlash(file), Message: err.Error()}
}

// fileProblems holds the directory of a published trial against its record: the
// completions of a Run that was driven and the samples around windows that were computed
// were on the disk before the record was. Of a file that the record describes all is
// checked; of older ones the end, which is written last.
func (t Trial) fileProblems(root string) []Problem {
	var problems []Problem
	add := func(code, format string, name string, args ...any) {
		file := path.Join(t.Dir, name)
		problems = append(problems, Problem{code, file, fmt.Sprintf(format, append([]any{file}, args...)...)})
	}
	described := map[string]File{}
	for _, f := range t.Files {
		described[f.Name] = f
	}
	var series []string
	if t.Run != nil {
		series = append(series, requestsFile)
	}
	if len(t.Windows) > 0 {
		series = append(series, powerFile)
	}
	const so = "the figures are those of trial.json, and nothing can make them again or check them"
	for _, name := range series {
		at := filepath.Join(root, filepath.FromSlash(t.Dir), name)
		err := checkSeries(at)
		if f, ok := described[name]; ok && err == nil {
			err = f.check(at)
		}
		delete(described, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			add(ProblemNoSeries, "%s is missing, and the trial's record says that it was written: "+so+"; copy it back", name)
		case errors.Is(err, errChanged):
			add(ProblemChanged, "%s: %v, such as another trial's: "+so+"; copy its own back", name, err)
		case err != nil:
			add(ProblemSeries, "read %s: %v: "+so+"; copy it again", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(described)) {
		switch err := described[name].check(filepath.Join(root, filepath.FromSlash(t.Dir), name)); {
		case errors.Is(err, fs.ErrNotExist):
			add(ProblemNoFile, "%s is missing, and the trial's record says that it was written; no figure rests on it", name)
		case errors.Is(err, errChanged):
			add(ProblemChanged, "%s: %v; copy it back", name, err)
		case err != nil:
			add(ProblemNoFile, "%s: %v; no figure rests on it", name, err)
		}
	}
	return problems
}

// checkSeries tells whether a Parquet file is there and whole.
func checkSeries(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return checkFooter(f, info.Size())
}
