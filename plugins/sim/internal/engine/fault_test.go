package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Faults that end or stop the process are tested on the built binary.
func TestFaultsOfRecords(t *testing.T) {
	closed := sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1}
	for _, c := range []struct {
		fault string
		seen  func(records) bool
	}{
		{"none", func(r records) bool { return r.err == nil && r.finished.OutputTokens == 12 }},
		{"miscount", func(r records) bool { return r.err == nil && r.finished.OutputTokens == 8 }},
		{"stamps_outside", func(r records) bool { return r.completions[0].LastNs-r.completions[0].SentNs > 9e8 }},
		{"fail_requests", func(r records) bool { return r.completions[3].Failed() && r.completions[3].FinishReason == "error" }},
		{"early_close", func(r records) bool { return r.err == nil && r.finished.Reason == sdk.FinishStopped }},
	} {
		t.Run(c.fault, func(t *testing.T) {
			e := loaded(t, sdk.Table{"step_us": 50.0, "fault": c.fault, "fault_run": int64(2)})
			for run := range 2 {
				r := drive(t.Context(), e, closed, work(true, equal(4, 2, 3)...), nil)
				clean := r.err == nil && r.finished.OutputTokens == 12 && r.finished.Reason == sdk.FinishWorkUsedUp && !r.completions[0].Failed()
				if run == 0 && !clean {
					t.Errorf("the fault is there in the first run: %+v, %v", r.finished, r.err)
				}
				if run == 1 && !c.seen(r) {
					t.Errorf("the fault is not there in the second run: %+v, %v", r.finished, r.err)
				}
			}
		})
	}
}

func TestAPanicAndAnOOM(t *testing.T) {
	e := loaded(t, sdk.Table{"fault": "panic_in_run"})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing panicked")
			}
		}()
		drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 1}, work(true, [2]int{1, 1}), nil)
	}()
	request := sdk.LoadRequest{Cell: sdk.Cell{Parameters: sdk.Table{"fault": "oom", "fault_after_ms": 30.0}}}
	began := sdk.MonoNow()
	_, err := (&Engine{}).Load(t.Context(), request, sdk.NewProgress(func(sdk.StageEvent) {}))
	if !errors.Is(err, sdk.OutOfMemory) || sdk.MonoNow()-began < 30e6 {
		t.Errorf("after %d ns: %v", sdk.MonoNow()-began, err)
	}
}

// A fault with a file happens in one of many processes.
func TestAFaultFileIsATokenForOneFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for range 3 {
		e := loaded(t, sdk.Table{"step_us": 50.0, "fault": "fail_requests", "fault_file": path})
		r := drive(t.Context(), e, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1}, work(true, equal(2, 1, 1)...), nil)
		if r.completions[0].Failed() {
			failures++
		}
	}
	if failures != 1 {
		t.Errorf("%d of 3 loads had the fault", failures)
	}
}

// A flood, an idle open loop and a long step end with the Run's context.
func TestAnAbortEndsWhateverRuns(t *testing.T) {
	late := work(true, [2]int{1, 1})
	late.Items[0].ArrivalOffsetNs = int64(time.Hour)
	for name, c := range map[string]struct {
		parameters sdk.Table
		spec       sdk.RunSpec
		work       *sdk.Work
	}{
		"flood":      {sdk.Table{"fault": "flood"}, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1}, work(true, [2]int{1, 1})},
		"long step":  {sdk.Table{"step_us": int64(10_000_000)}, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 2}, work(true, equal(2, 1, 1)...)},
		"open, idle": {sdk.Table{}, sdk.RunSpec{Loop: sdk.LoopOpen}, late},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			began := sdk.MonoNow()
			r := drive(ctx, loaded(t, c.parameters), c.spec, c.work, func(run *sdk.Run) {
				time.AfterFunc(30*time.Millisecond, func() {
					run.RequestStop(sdk.StopAbort)
					cancel(sdk.ErrAborted)
				})
			})
			if r.err != nil || r.finished.Reason != sdk.FinishAborted || sdk.MonoNow()-began > 5e9 {
				t.Errorf("%+v, %v after %.1f s", r.finished, r.err, float64(sdk.MonoNow()-began)/1e9)
			}
			for _, done := range r.completions {
				if done.FinishReason != "aborted" {
					t.Errorf("request %d ended for the reason %q", done.Request, done.FinishReason)
				}
			}
			if name == "flood" && len(r.steps) < 1000 {
				t.Errorf("a flood of %d steps", len(r.steps))
			}
		})
	}
}

// An idle open loop sees a Stop that aborts nothing.
func TestADrainEndsAnIdleOpenLoop(t *testing.T) {
	late := work(true, [2]int{1, 1})
	late.Items[0].ArrivalOffsetNs = int64(time.Hour)
	r := drive(t.Context(), loaded(t, sdk.Table{}), sdk.RunSpec{Loop: sdk.LoopOpen}, late, func(run *sdk.Run) { run.RequestStop(sdk.StopDrain) })
	if r.err != nil || r.finished.Reason != sdk.FinishStopped {
		t.Errorf("%+v, %v", r.finished, r.err)
	}
}
