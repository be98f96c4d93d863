package result

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publishCells publishes a trial with both its series for each cell.
func publishCells(t *testing.T, d *Dir, cells ...string) {
	t.Helper()
	traces := sampleTraces(t)
	for _, cell := range cells {
		trial := sampleTrial(t, traces)
		trial.Cell.ID, trial.Block = cell, 0
		if err := publish(d, trial, traces); err != nil {
			t.Fatal(err)
		}
	}
}

// A series that the record says was written is missed when it is gone, and when its
// end is.
func TestMissingSeriesAreProblems(t *testing.T) {
	d := testDir(t)
	publishCells(t, d, "whole")
	if _, _, problems := d.ReadTrials(); len(problems) > 0 {
		t.Fatal(problems)
	}
	publishCells(t, d, "gone", "cut")
	for _, name := range []string{powerFile, requestsFile} {
		if err := os.Remove(filepath.Join(d.Path(), RunDir("gone", 0), name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(d.Path(), RunDir("cut", 0), name), 40); err != nil {
			t.Fatal(err)
		}
	}
	ok, _, problems := d.ReadTrials()
	if len(ok) != 3 {
		t.Errorf("%d trials, want all three: their records are whole", len(ok))
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Code+" "+p.File)
		if !strings.Contains(p.Message, p.File) || p.Harmless() {
			t.Errorf("problem %+v", p)
		}
	}
	slices.Sort(got)
	want := []string{
		"series_missing runs/gone-b0/power.parquet", "series_missing runs/gone-b0/requests.parquet",
		"series_unreadable runs/cut-b0/power.parquet", "series_unreadable runs/cut-b0/requests.parquet",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems %q", got)
	}
}

// An attempt that was left behind lacks nothing once its trial is there.
func TestAttemptsBesideTheirTrialAreHarmless(t *testing.T) {
	d := testDir(t)
	for _, cell := range []string{"done", "lost"} {
		if _, err := d.Begin(cell, 0); err != nil {
			t.Fatal(err)
		}
	}
	publishCells(t, d, "done")
	_, _, problems := d.ReadTrials()
	if len(problems) != 2 || problems[0].Code != ProblemSpare || !problems[0].Harmless() || problems[1].Code != ProblemUnfinished || problems[1].Harmless() {
		t.Errorf("problems %+v", problems)
	}
}

func TestProblemCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/results-format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range ProblemCodes() {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("docs/results-format.md does not name the problem %s", code)
		}
	}
}
