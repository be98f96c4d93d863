package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// driven is everything that one Run left behind.
type driven struct {
	record      result.Run
	completions []sdk.Completion
}

// runView is what a stop decision sees: the state after the newest pass or
// heartbeat.
type runView struct {
	beginNs int64
	nowNs   int64
	passes  []sdk.PassRecord
	beats   []sdk.Heartbeat
}

// stopDecision looks at a Run in progress and says how to end it, or StopNone. Of an
// open loop it is asked on while the Run drains, and may break that off.
// It is called on the stream's goroutine and must neither block nor take long:
// it costs CPU of the machine under measurement.
type stopDecision func(runView) sdk.StopKind

// errStalled: heartbeats come and nothing moves.
var errStalled = errors.New("heartbeats arrive, but no request was sent or completed")

// driveRun runs spec on a backend and collects its records. It asks decide at
// each pass and heartbeat. stall bounds the time without progress.
func driveRun(ctx context.Context, backend *host.Plugin, spec sdk.RunSpec, stall time.Duration, decide stopDecision) (driven, error) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		out     driven
		view    runView
		stopped = sdk.StopNone
		moved   = sdk.MonoNow()
		last    sdk.Heartbeat
		stops   sync.WaitGroup
		oneStop sync.Mutex
	)
	consider := func(nowNs int64) {
		if stopped == sdk.StopAbort || stopped != sdk.StopNone && spec.Loop != sdk.LoopOpen {
			return
		}
		view.nowNs = nowNs
		kind := decide(view)
		if kind == sdk.StopNone || stopped != sdk.StopNone && kind != sdk.StopAbort {
			return
		}
		stopped = kind
		// Stop answers on another stream than the one being read here.
		stops.Go(func() {
			oneStop.Lock()
			defer oneStop.Unlock()
			if _, err := backend.Stop(runCtx, kind); err != nil && runCtx.Err() == nil {
				cancel(fmt.Errorf("stop the run: %w", err))
			}
		})
	}
	finished, err := backend.Run(runCtx, spec, func(event sdk.RunEvent) error {
		switch e := event.(type) {
		case sdk.Started:
			out.record.BeginNs, view.beginNs, moved = e.MonoNs, e.MonoNs, e.MonoNs
		case sdk.Heartbeat:
			if e.Sent != last.Sent || e.Done != last.Done || e.OutputTokens != last.OutputTokens {
				moved = e.MonoNs
			} else if e.MonoNs-moved > int64(stall) {
				return errStalled
			}
			last = e
			view.beats = append(view.beats, e)
			consider(e.MonoNs)
		case sdk.PassRecord:
			moved = e.EndNs
			out.record.Passes = append(out.record.Passes, e)
			view.passes = out.record.Passes
			consider(e.EndNs)
		case sdk.Completions:
			out.completions = append(out.completions, e...)
		}
		return nil
	})
	cause := context.Cause(runCtx)
	cancel(nil)
	stops.Wait()
	// What is known of a Run that broke off is kept, too.
	out.record.Spec = spec
	out.record.Requests = int64(len(out.completions))
	for _, c := range out.completions {
		if c.Failed() {
			out.record.Failed++
		}
	}
	if err != nil {
		if cause != nil && ctx.Err() == nil {
			err = cause
		}
		return out, err
	}
	out.record.EndNs, out.record.Reason = finished.MonoNs, finished.Reason
	out.record.Before, out.record.After = finished.Before, finished.After
	out.record.Client, out.record.Warnings = finished.Client, finished.Warnings
	return out, nil
}
