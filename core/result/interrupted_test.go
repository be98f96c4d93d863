package result

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An interrupted trial is stored beside the failed ones and is none of them; records
// from before it had a status of its own are read as it.
func TestAnInterruptedTrialIsNoFailure(t *testing.T) {
	d := testDir(t)
	trial := sampleTrial(t, sampleTraces(t))
	trial.Status, trial.Ranked = StatusInterrupted, false
	trial.Failure = &Failure{Phase: "run", Code: CodeInterrupted, Message: "the study was interrupted"}
	for block := range 2 {
		trial.Block = block
		a, err := d.Begin(trial.Cell.ID, block)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Fail(trial); err != nil {
			t.Fatal(err)
		}
		if block == 0 {
			continue
		}
		path := filepath.Join(a.Path(), trialFile)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old := strings.Replace(string(text), `"status": "interrupted"`, `"status": "failed"`, 1)
		if old == string(text) {
			t.Fatal("the record does not say that the trial was interrupted")
		}
		if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ok, without, problems := d.ReadTrials()
	if len(ok) != 0 || len(without) != 2 || len(problems) != 0 {
		t.Fatalf("%d with a result, %d without, problems %v", len(ok), len(without), problems)
	}
	for _, x := range without {
		if x.Status != StatusInterrupted {
			t.Errorf("block %d: status %q", x.Block, x.Status)
		}
	}
}
