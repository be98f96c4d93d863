package result

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
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
	ProblemPlan        = "plan_unreadable"
	ProblemFactors     = "factors_unreadable"
	// ProblemSpare is an attempt without a result whose trial lies in runs/: nothing is
	// lacking.
	ProblemSpare = "attempt_left"
)

// ProblemCodes are all of them.
func ProblemCodes() []string {
	return []string{
		ProblemDir, ProblemTrial, ProblemMisplaced, ProblemUnfinished, ProblemUnpublished, ProblemMissing, ProblemNoSeries, ProblemSeries,
		ProblemPlan, ProblemFactors, ProblemSpare,
	}
}

// Harmless tells whether the directory is whole all the same.
func (p Problem) Harmless() bool { return p.Code == ProblemSpare }

func problemOf(code, file string, err error) Problem {
	return Problem{Code: code, File: filepath.ToSlash(file), Message: err.Error()}
}

// seriesProblems holds the directory of a published trial against its record: the
// completions of a Run that was driven and the samples around windows that were computed
// were on the disk before the record was. What is checked of a file is its end, which is
// written last.
func (t Trial) seriesProblems(root string) []Problem {
	var wanted []string
	if t.Run != nil {
		wanted = append(wanted, requestsFile)
	}
	if len(t.Windows) > 0 {
		wanted = append(wanted, powerFile)
	}
	var problems []Problem
	for _, name := range wanted {
		file := path.Join(t.Dir, name)
		err := checkSeries(filepath.Join(root, filepath.FromSlash(file)))
		const so = "the figures are those of trial.json, and nothing can make them again or check them"
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, Problem{ProblemNoSeries, file, fmt.Sprintf("%s is missing, and the trial's record says that it was written: %s; copy it back", file, so)})
		case err != nil:
			problems = append(problems, Problem{ProblemSeries, file, fmt.Sprintf("read %s: %v: %s; copy it again", file, err, so)})
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
