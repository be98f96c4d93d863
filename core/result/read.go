package result

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReadTrials reads every trial of a result directory: those published in
// runs/, and those in attempts/ that failed or were interrupted, each list by block
// and position.
// What cannot be read is a problem that names its file; the others are read
// all the same.
func ReadTrials(dir string) (ok, failed []Trial, problems []Problem) {
	d, err := OpenDir(dir)
	if err != nil {
		return nil, nil, []Problem{problemOf(ProblemDir, "", err)}
	}
	return d.ReadTrials()
}

// ReadTrials reads every trial. Of attempts of this very process, made through d,
// it knows why they have no record.
func (d *Dir) ReadTrials() (ok, failed []Trial, problems []Problem) {
	dir := d.path
	published := map[string]bool{}
	for _, name := range entries(dir, runsDir, &problems) {
		at := filepath.Join(runsDir, name, trialFile)
		t, err := readTrial(dir, filepath.Join(runsDir, name))
		switch {
		case err != nil:
			problems = append(problems, problemOf(ProblemTrial, at, err))
		case t.Status != StatusOK:
			problems = append(problems, problemOf(ProblemMisplaced, at, fmt.Errorf("read %s: its status is %q, and %s/ holds only what succeeded; it is left out", at, t.Status, runsDir)))
		case runName(t.Cell.ID, t.Block) != name:
			problems = append(problems, problemOf(ProblemMisplaced, at, fmt.Errorf("read %s: it is a trial of cell %s, block %d, under another name; it is left out, so that nothing counts twice", at, t.Cell.ID, t.Block)))
		default:
			published[name] = true
			problems = append(problems, t.fileProblems(dir)...)
			ok = append(ok, t)
		}
	}
	for _, name := range entries(dir, attemptsDir, &problems) {
		at := filepath.Join(attemptsDir, name)
		spare := func(code string) string { // its trial is in runs/
			if published[name[:max(0, strings.LastIndex(name, "-"))]] {
				return ProblemSpare
			}
			return code
		}
		t, err := readTrial(dir, at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, problemOf(spare(ProblemUnfinished), at, unfinished(dir, name, d.unstored[name])))
		case err != nil:
			problems = append(problems, problemOf(ProblemTrial, filepath.Join(at, trialFile), err))
		case t.Status == StatusFailed, t.Status == StatusInterrupted:
			failed = append(failed, t)
		default:
			problems = append(problems, problemOf(spare(ProblemUnpublished), at, fmt.Errorf("%s holds a trial that was measured but not published; it is left out", at)))
		}
	}
	order := func(a, b Trial) int {
		return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Position, b.Position), cmp.Compare(a.Dir, b.Dir))
	}
	slices.SortFunc(ok, order)
	slices.SortFunc(failed, order)
	return ok, failed, problems
}

// unfinished says what is known of an attempt without a record.
func unfinished(dir, name string, unstored error) error {
	reason := "it is running, or its process was lost"
	if unstored != nil {
		reason = unstoredReason(unstored)
	} else if text, err := os.ReadFile(filepath.Join(dir, attemptsDir, name, reasonFile)); err == nil {
		reason = strings.TrimSpace(string(text))
	}
	return fmt.Errorf("%s was not finished: %s; its log is %s", filepath.Join(attemptsDir, name), reason, filepath.Join(attemptsDir, name, logFile))
}

// ReadTrial reads one trial's directory, such as DIR/runs/NAME.
func ReadTrial(trialDir string) (Trial, error) {
	return readTrial(trialDir, ".")
}

func readTrial(root, name string) (Trial, error) {
	path := filepath.Join(root, name, trialFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return Trial{}, fmt.Errorf("read trial: %w", err)
	}
	t, err := decodeTrial(text)
	if err != nil {
		return Trial{}, fmt.Errorf("read %s: %w", path, err)
	}
	if t.Status == StatusFailed && t.Failure != nil && t.Failure.Code == CodeInterrupted {
		t.Status = StatusInterrupted // older records had no such status
	}
	t.Dir = filepath.ToSlash(name)
	return t, nil
}

// entries are the visible names in a part of the directory, sorted.
func entries(dir, part string, problems *[]Problem) []string {
	path := filepath.Join(dir, part)
	list, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty one may be lost in a copy
		*problems = append(*problems, problemOf(ProblemDir, part, fmt.Errorf("list %s: %w", path, err)))
	}
	var names []string
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}
