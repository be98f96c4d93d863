package measure

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// Whatever a backend does, its trial fails by name, and the next one runs in a
// fresh process.
func TestABackendsFaults(t *testing.T) {
	for _, c := range []struct {
		fault, phase, code, message string
		change                      func(*rig)
		check                       func(*testing.T, *result.Failure)
	}{
		{fault: "load exit", phase: "load", code: "engine_crashed", message: "plugin test died (exit code 3)", check: wantTail("libcuda.so.1: cannot open")},
		{fault: "load error", phase: "load", code: "out_of_memory", message: "no room", check: func(t *testing.T, f *result.Failure) {
			if f.Advice != "take less" || f.Numbers["wanted_bytes"] != 1<<40 {
				t.Errorf("advice %q, numbers %v", f.Advice, f.Numbers)
			}
		}},
		{fault: "load slow", phase: "load", code: "load_timeout", message: "limits.load_timeout_s = 1 s", change: func(r *rig) { r.study.Limits.LoadTimeoutS = 1 }},
		{fault: "flood", phase: "load", code: "plugin_lied", message: "messages in"},
		{fault: "gpu", phase: "load", code: "no_energy", message: "no energy source covers GPU-1"},
		{fault: "exit", phase: "run", code: "engine_crashed", message: "plugin test died (exit code 9)", check: wantTail("CUDA error 0", "CUDA error 1", "CUDA error 2")},
		{fault: "panic", phase: "run", code: "panic", message: "boom in Run", check: func(t *testing.T, f *result.Failure) {
			if !strings.Contains(f.Stack, "(*engine).disturb") {
				t.Errorf("the stack is %q", f.Stack)
			}
		}},
		{fault: "error", phase: "run", code: "out_of_memory", message: "the cache is full"},
		{fault: "wedge", phase: "run", code: "heartbeat_lost", message: "no heartbeat from plugin test"},
		{fault: "stall", phase: "run", code: "no_progress", message: "no request was sent or completed", change: func(r *rig) { r.options.Stall = time.Second }},
		{fault: "lie count", phase: "run", code: "plugin_lied", message: "request 0 has 7 output tokens and may have 4"},
		{fault: "lie stamp", phase: "run", code: "plugin_lied", message: "before the Run began"},
		{fault: "forget", phase: "run", code: "internal", message: "1 requests were handed out and 0 completed"},
		{fault: "return", phase: "run", code: "window_not_reached", message: "the Run ended (stopped) before conditioning was over, after 12 requests of which 0 failed"},
		{fault: "fail always", phase: "warm-up", code: "all_requests_failed", message: "none of 12 requests completed; the first error: no slot"},
		{fault: "slow start", phase: "run", code: "window_not_reached", message: "the Run ended (work_used_up) before conditioning was over", change: func(r *rig) {
			r.options.Cells[0].Protocol.ConditioningS = 1.5
		}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r := newRig(t, c.fault, "")
			if c.change != nil {
				c.change(r)
			}
			out, ok, failed, err := r.run(t.Context())
			if err != nil || out != (Outcome{Done: 1, Failed: 1}) {
				t.Fatalf("%+v, %v, %+v", out, err, failed)
			}
			f := failed[0].Failure
			if f.Phase != c.phase || f.Code != c.code || !strings.Contains(f.Message, c.message) {
				t.Errorf("the failure is %s, %s: %s", f.Phase, f.Code, f.Message)
			}
			if failed[0].Cell.ID != "a" || failed[0].Ranked || strings.Contains(codes(failed[0]), "unload_failed") {
				t.Errorf("cell %s, ranked %v, warnings %s", failed[0].Cell.ID, failed[0].Ranked, codes(failed[0]))
			}
			if c.check != nil {
				c.check(t, f)
			}
			if len(r.pids) != 2 || r.pids[0] == r.pids[1] || ok[0].Position != 1 {
				t.Errorf("processes %v, position %d", r.pids, ok[0].Position)
			}
		})
	}
}

func wantTail(lines ...string) func(*testing.T, *result.Failure) {
	return func(t *testing.T, f *result.Failure) {
		if !strings.Contains(strings.Join(f.StderrTail, "\n"), strings.Join(lines, "\n")) {
			t.Errorf("the last lines are %q, want %q", f.StderrTail, lines)
		}
	}
}

// The windows are whole when an engine does not end well.
func TestAnUnloadThatFails(t *testing.T) {
	for fault, message := range map[string]string{
		"unload hang": "did not answer in time", "unload error": "the engine is busy", "unload exit": "died (exit code 6)",
	} {
		t.Run(fault, func(t *testing.T) {
			r := newRig(t, fault)
			r.options.waits.unload = 500 * time.Millisecond
			got := r.one()
			wantCode(t, got, "unload_failed/warning")
			last := got.Warnings[len(got.Warnings)-1]
			if fault != "unload hang" && !strings.Contains(last.Message, message) {
				t.Errorf("the warning is %q", last.Message)
			}
		})
	}
}

func TestWorkUsedUpInTheWindow(t *testing.T) {
	r := newRig(t, "slow start").each(func(c *study.Cell) { c.Protocol.ConditioningS = 0.02 })
	_, _, failed, err := r.run(t.Context())
	if err != nil || len(failed) != 1 {
		t.Fatalf("%d failed, %v", len(failed), err)
	}
	if f := failed[0].Failure; f.Phase != "window" || f.Code != "window_not_reached" || !strings.Contains(f.Message, `0 of 1 windows of 0.5 s fit into the Run, which ended with "work_used_up"`) ||
		!strings.Contains(f.Message, "requests/s of the warm-up and the Run did") {
		t.Errorf("the failure is %+v", f)
	}
}

func TestAPluginThatDoesNotStart(t *testing.T) {
	r := newRig(t, "")
	r.role = "exit"
	_, _, failed, err := r.run(t.Context())
	if err != nil || len(failed) != 1 {
		t.Fatalf("%d failed, %v", len(failed), err)
	}
	f := failed[0].Failure
	if f.Phase != "start" || !strings.Contains(f.Message, "exited with code 7") || f.Advice == "" {
		t.Errorf("the failure is %+v", f)
	}
	wantTail("no module named torch")(t, f)
}

func TestATrialThatTakesTooLong(t *testing.T) {
	r := newRig(t, "").each(func(c *study.Cell) { c.Protocol.WindowS = 60 })
	r.study.Limits.TrialTimeoutS = 2
	out, _, failed, err := r.run(t.Context())
	if err != nil || out != (Outcome{Failed: 1}) {
		t.Fatalf("%+v, %v", out, err)
	}
	if f := failed[0].Failure; f.Code != "trial_timeout" || f.Message != "the trial took longer than limits.trial_timeout_s = 2 s" {
		t.Errorf("the failure is %+v", f)
	}
}

// An interrupt keeps what is finished, records the trial that it hit and
// leaves the others out.
func TestAnInterrupt(t *testing.T) {
	for _, phase := range []Phase{PhaseLoad, PhaseIdle, PhaseMeasure, PhaseUnload} {
		t.Run(string(phase), func(t *testing.T) {
			r := newRig(t, "", "", "")
			r.each(func(c *study.Cell) { c.Protocol.IdleS = 0.05 })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.onPhase = func(p Progress) {
				if p.Trial == 2 && p.Phase == phase {
					time.AfterFunc(map[Phase]time.Duration{PhaseMeasure: 400 * time.Millisecond}[phase], cancel)
				}
			}
			out, ok, failed, err := r.run(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the study ends with %v", err)
			}
			if phase == PhaseUnload {
				if out != (Outcome{Done: 2, NotRun: 1}) || len(ok) != 2 || len(failed) != 0 {
					t.Errorf("%+v, %d done, %d failed", out, len(ok), len(failed))
				}
				return
			}
			if out != (Outcome{Done: 1, Interrupted: 1, NotRun: 1}) || len(ok) != 1 || len(failed) != 1 || failed[0].Status != result.StatusInterrupted {
				t.Fatalf("%+v, %d done, %d failed", out, len(ok), len(failed))
			}
			f := failed[0].Failure
			if f.Code != "interrupted" || f.Message != "the study was interrupted" {
				t.Errorf("the failure is %+v", f)
			}
		})
	}
}

func TestTooManyFailures(t *testing.T) {
	r := newRig(t, "load error", "")
	r.options.Plan.Blocks = append(r.options.Plan.Blocks, plan.Block{Index: 1, Order: []string{"b", "a"}})
	r.study.Limits.MaxFailures = 1
	out, _, _, err := r.run(t.Context())
	if err != nil || out != (Outcome{Failed: 1, NotRun: 3, GaveUp: "1 trials failed (limits.max_failures = 1)"}) {
		t.Errorf("%+v, %v", out, err)
	}
}

// A directory that cannot be written ends the study: nothing that follows
// could be kept.
func TestADirectoryThatGoesAway(t *testing.T) {
	for part, message := range map[string]string{"runs": "publish", "attempts": "attempts"} {
		t.Run(part, func(t *testing.T) {
			r := newRig(t, "", "")
			path := filepath.Join(r.options.Dir.Path(), part)
			r.onPhase = func(p Progress) {
				if p.Trial == 1 && p.Phase == PhaseMeasure {
					if err := os.RemoveAll(path); err != nil {
						t.Error(err)
					}
				}
			}
			out, _, _, err := r.run(t.Context())
			if err == nil || !strings.Contains(err.Error(), message) || out != (Outcome{Failed: 1, NotRun: 1}) {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

// The loser of a race is kept in attempts/ and does not end the study.
func TestATrialThatIsThereAlready(t *testing.T) {
	r := newRig(t, "", "")
	taken := filepath.Join(r.options.Dir.Path(), "runs", "a-b0")
	if err := os.MkdirAll(filepath.Join(taken, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := r.options
	o.Study, o.Opener, o.Checks = r.study, r, make([]sdk.CellCheck, 2)
	var finished []result.Trial
	o.Progress = func(p Progress) {
		if p.Finished != nil {
			finished = append(finished, *p.Finished)
		}
	}
	out, err := Run(t.Context(), o)
	if err != nil || out != (Outcome{Done: 1, Failed: 1}) {
		t.Fatalf("%+v, %v", out, err)
	}
	if f := finished[0].Failure; f == nil || f.Code != "already_published" || !strings.Contains(f.Message, "kept in") {
		t.Errorf("the failure is %+v", f)
	}
}

// A record that no file can hold costs its trial and no other: one that fails
// anyway, and one that is whole.
func TestARecordThatCannotBeStored(t *testing.T) {
	for name, c := range map[string]struct {
		spoil               func(*study.Cell)
		phase, code, detail string
	}{
		"of a failed trial": {func(c *study.Cell) { c.Parameters["x"] = math.NaN() }, "load", "internal", "x: NaN"},
		"of a whole trial": {func(c *study.Cell) { c.Axes = []study.Axis{{Key: "x", Value: math.Inf(1)}} },
			"write", "record_unstorable", "cell.axes.x: +Inf is no usable number; its series are kept in "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			c.spoil(&r.options.Cells[0])
			out, ok, failed, err := r.run(t.Context())
			if err != nil || out != (Outcome{Done: 1, Failed: 1}) || len(failed) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			f := failed[0].Failure
			if ok[0].Cell.ID != "b" || f.Phase != c.phase || f.Code != c.code || !strings.Contains(f.Message, c.detail) {
				t.Errorf("%s: the failure is %+v", ok[0].Cell.ID, f)
			}
			wantCode(t, failed[0], "record_incomplete/warning")
		})
	}
}

func TestAPlanOfAnotherStudy(t *testing.T) {
	r := newRig(t, "")
	r.options.Plan.Blocks[0].Order = []string{"zz"}
	out, _, _, err := r.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "names cell zz") || out != (Outcome{NotRun: 1}) {
		t.Errorf("%+v, %v", out, err)
	}
}
