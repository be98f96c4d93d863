package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// exitStatus of a process that a fault ends.
const exitStatus = 7

// forever is longer than any host should wait.
const forever = 24 * time.Hour

// errEarlyClose ends a Run that nobody asked to end.
var errEarlyClose = errors.New("simulated early end of the run")

func pid() int64 { return int64(os.Getpid()) }

// disturbLoad makes the faults of a load happen.
func (e *Engine) disturbLoad(beganNs int64) error {
	switch kind := e.fault.Kind; kind {
	case oom:
		if e.fault.Due(kind, beganNs) {
			return &sdk.Error{
				Code: sdk.OutOfMemory, Phase: "load weights", Message: "simulated lack of memory",
				Numbers: map[string]int64{"wanted_bytes": 80 << 30, "free_bytes": 1 << 30},
				Advice:  "this is the fault that `fault = \"oom\"` asked for",
			}
		}
	case exitInLoad, wedgeInLoad, freezeInLoad:
		if e.fault.Due(kind, beganNs) {
			strike(kind)
		}
	}
	return nil
}

// faultDue tells whether a fault of Runs is to happen in this one, now.
func (e *Engine) faultDue(kind string, run *sdk.Run) bool {
	return e.runs >= e.faultRun && e.fault.Due(kind, run.BeginNs())
}

// disturb makes the faults of a Run happen that are not about its records.
func (e *Engine) disturb(ctx context.Context, run *sdk.Run) error {
	kind := e.fault.Kind
	switch kind {
	case exitInRun, wedgeInRun, freezeInRun, panicInRun, earlyClose, flood:
	default:
		return nil
	}
	if !e.faultDue(kind, run) {
		return nil
	}
	switch kind {
	case panicInRun:
		panic("simulated panic in a run")
	case earlyClose:
		return errEarlyClose
	case flood:
		return spill(ctx, run)
	}
	strike(kind)
	return nil
}

// strike ends, wedges or freezes the process. A wedged one still sends
// heartbeats, a frozen one does not.
func strike(kind string) {
	switch kind {
	case exitInLoad, exitInRun:
		fmt.Fprintf(os.Stderr, "sim: simulated crash (%s), exit status %d\n", kind, exitStatus)
		os.Exit(exitStatus)
	case wedgeInLoad, wedgeInRun:
		time.Sleep(forever)
	case freezeInLoad, freezeInRun:
		// The stop reaches the threads one by one: without the sleep this one
		// might still end the Load or Run in order.
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(forever)
	}
}

// spill sends records and log lines as fast as they are taken, until ctx ends.
func spill(ctx context.Context, run *sdk.Run) error {
	for i := 0; ctx.Err() == nil; i++ {
		run.Step(sdk.Step{EndNs: sdk.MonoNow(), DecodeTokens: 1})
		if i%1000 == 0 {
			fmt.Fprintf(os.Stderr, "sim: simulated flood, line %d\n", i/1000)
		}
	}
	return nil
}
