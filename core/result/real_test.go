package result

import (
	"math"
	"path/filepath"
	"testing"
)

// A directory of a real GPU is read back, and its joules come out of its stored
// samples again.
func TestRealGPUDirectory(t *testing.T) {
	const dir = "../../examples/results/h100-steady"
	trials, failed, problems := ReadTrials(dir)
	if len(problems) > 0 || len(failed) > 0 || len(trials) != 5 {
		t.Fatalf("%d trials, %d failed, problems %v", len(trials), len(failed), problems)
	}
	for _, trial := range trials {
		traces, err := ReadPower(filepath.Join(dir, trial.Dir))
		if err != nil {
			t.Fatal(err)
		}
		if len(trial.Headline) != 1 || len(trial.Windows) != 1 || !trial.Ranked {
			t.Fatalf("%s: headline %v, %d windows, ranked %v", trial.Dir, trial.Headline, len(trial.Windows), trial.Ranked)
		}
		w := trial.Windows[0]
		again, err := traces[trial.Headline[0]].Window(w.FromNs, w.ToNs)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(again.EnergyJ / *w.EnergyJ - 1) > 1e-12 {
			t.Errorf("%s: %g J from its samples, %g J in its record", trial.Dir, again.EnergyJ, *w.EnergyJ)
		}
		for _, a := range trial.Audit {
			if a.Ratio == nil || math.Abs(*a.Ratio-1) > 0.005 {
				t.Errorf("%s: ring and counter differ: %+v", trial.Dir, a)
			}
		}
	}
}

// Real directories of before records described their files are whole.
func TestRealDirectoriesHaveNoProblems(t *testing.T) {
	all, err := filepath.Glob("../../examples/results/*/" + runsDir)
	if err != nil || len(all) < 7 {
		t.Fatalf("directories %v, %v", all, err)
	}
	for _, runs := range all {
		trials, failed, problems := ReadTrials(filepath.Dir(runs))
		if len(trials) == 0 || len(failed)+len(problems) > 0 {
			t.Errorf("%s: %d trials, %d failed, problems %v", runs, len(trials), len(failed), problems)
		}
	}
}
