package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
)

// An interrupt says nothing of the deployment that was being measured.
func TestAnInterruptedTrialIsNotCountedAsAFailure(t *testing.T) {
	interrupted := failedRun("q8_0", 0)
	interrupted.Status = result.StatusInterrupted
	interrupted.Failure = &result.Failure{Phase: "load", Code: result.CodeInterrupted, Message: "the study was interrupted"}
	s := Summarize([]result.Trial{aTrial("f16", 0, 0.55)}, []result.Trial{interrupted, failedRun("f16", 1)}, Options{Dir: "results/x"})
	if len(s.Failed) != 1 || s.Failed[0].Cell != "f16" || len(s.Interrupted) != 1 || s.Interrupted[0].Code != "interrupted" {
		t.Errorf("failed %+v, interrupted %+v", s.Failed, s.Interrupted)
	}
	for _, c := range s.Cells {
		if failed := map[string]int{"f16": 1}[c.ID]; c.Failed != failed || c.Interrupted != 1-failed {
			t.Errorf("%s: %d failed, %d interrupted", c.ID, c.Failed, c.Interrupted)
		}
	}
	var text bytes.Buffer
	if err := Table(&text, s, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "\ninterrupted "+interrupted.Cell.Label+", block 1, in load: it has no result, and is no failure\n  log: results/x/attempts/q8_0-b0-01020304/log.txt\n") ||
		strings.Contains(text.String(), "failed (1)") || strings.Count(text.String(), "interrupted") != 2 {
		t.Errorf("the table:\n%s", text.String())
	}
}
