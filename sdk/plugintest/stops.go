package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// The rules about a Run that is ended by the host.
var stopRules = []rule{
	{"Stop without a Run says so", stopsNothing},
	{"Stop(after_pass) finishes the pass and begins no other", func(ctx context.Context, s *suite) error {
		return stops(ctx, s, sdk.StopAfterPass, sdk.FinishStopped, sdk.LoopBatch)
	}},
	{"Stop(drain) sends no more and waits for the rest", func(ctx context.Context, s *suite) error {
		return stops(ctx, s, sdk.StopDrain, sdk.FinishStopped, sdk.LoopClosed, sdk.LoopBatch)
	}},
	{"Stop(abort) ends the Run at once and keeps its records", func(ctx context.Context, s *suite) error {
		return stops(ctx, s, sdk.StopAbort, sdk.FinishAborted, sdk.LoopBatch, sdk.LoopClosed)
	}},
	{"a cancelled Run frees the host at once, and the engine in its declared time", cancels},
}

func stopsNothing(ctx context.Context, s *suite) error {
	e, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	for _, kind := range []sdk.StopKind{sdk.StopAfterPass, sdk.StopDrain, sdk.StopAbort} {
		running, err := e.Stop(ctx, kind)
		if err != nil {
			return fmt.Errorf("Stop(%s) without a Run: %w", kind, err)
		}
		if running {
			return fmt.Errorf("Stop(%s) says that a Run was in progress, and none was", kind)
		}
	}
	return nil
}

// abortGrace is added to the declared time of quiet: the answer has to travel
// and the records have to arrive.
const abortGrace = 200 * time.Millisecond

// stopped is what was seen of a Run that was told to stop.
type stopped struct {
	answeredNs  int64 // when Stop had answered; 0 = not told yet
	running     bool
	completions int64
	passes      int
	late        int // requests sent, or passes begun, after the answer
}

func stops(ctx context.Context, s *suite, kind sdk.StopKind, reason sdk.FinishReason, loops ...sdk.Loop) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	loop, err := e.anyLoop(loops...)
	if err != nil {
		return err
	}
	spec := e.spec(loop)
	spec.HeartbeatMs = 50
	var seen stopped
	finished, err := e.sustain(ctx, spec, func(event sdk.RunEvent) error {
		switch x := event.(type) {
		case sdk.Started:
			seen = stopped{}
		case sdk.Heartbeat:
			if x.Done == 0 || seen.answeredNs != 0 {
				return nil
			}
			running, err := e.Stop(ctx, kind)
			seen.answeredNs, seen.running = sdk.MonoNow(), running
			return err
		case sdk.PassRecord:
			seen.passes++
			if seen.answeredNs != 0 && x.BeginNs > seen.answeredNs {
				seen.late++
			}
		case sdk.Completions:
			seen.completions += int64(len(x))
			for _, c := range x {
				if loop == sdk.LoopClosed && seen.answeredNs != 0 && c.SentNs > seen.answeredNs {
					seen.late++
				}
			}
		}
		return nil
		// A Run whose work was used up before the Stop came tells nothing.
	}, func() bool { return seen.answeredNs != 0 && seen.running })
	if err != nil {
		return err
	}
	switch took := time.Duration(finished.MonoNs - seen.answeredNs); {
	case finished.Reason != reason:
		return fmt.Errorf("the Run ended for the reason %q and should for %q", finished.Reason, reason)
	case seen.late > 1:
		// One may have been handed out before the Stop came, and be stamped by an
		// engine of its own a moment after.
		return fmt.Errorf("%d passes or requests began after Stop had been answered", seen.late)
	case seen.completions == 0:
		return errors.New("no completion arrived, although a heartbeat had counted some")
	case kind == sdk.StopAfterPass && seen.completions != int64(seen.passes)*int64(e.perPass()):
		return fmt.Errorf("%d completions arrived from %d passes of %d requests", seen.completions, seen.passes, e.perPass())
	case kind == sdk.StopAbort && took > e.maxCancel()+abortGrace:
		return fmt.Errorf("the Run went on for %v after Stop(abort); the backend declares %v", took, e.maxCancel())
	}
	return nil
}

// freeLimit is within which time a cancelled call gives control back.
const freeLimit = 200 * time.Millisecond

// quietPoll is how often the engine is asked whether it is quiet.
const quietPoll = 5 * time.Millisecond

func cancels(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var cancelled time.Time
	err = e.interrupt(runCtx, func(string) error {
		cancelled = time.Now()
		cancel()
		return nil
	})
	took := time.Since(cancelled)
	var reason notTried
	switch {
	case errors.As(err, &reason):
		return err
	case !errors.Is(err, context.Canceled):
		return fmt.Errorf("a cancelled Run must end as cancelled; got: %v", err)
	case took > freeLimit:
		return fmt.Errorf("control came back %v after the cancel; it must within %v", took, freeLimit)
	}
	return e.quiet(ctx, cancelled)
}

// quiet wants a new Run to be accepted within the declared time of a cancel.
func (e *engine) quiet(ctx context.Context, cancelled time.Time) error {
	loop, err := e.anyLoop(sdk.LoopBatch, sdk.LoopClosed)
	if err != nil {
		return err
	}
	requests := int(e.perPass())
	spec := e.spec(loop)
	limit := e.maxCancel() + abortGrace
	ticker := time.NewTicker(quietPoll)
	defer ticker.Stop()
	for {
		var accepted time.Duration
		// Preparing is refused, too, while the engine is busy.
		_, err := e.drive(ctx, spec, requests, func(event sdk.RunEvent) error {
			if _, ok := event.(sdk.Started); ok {
				accepted = time.Since(cancelled)
			}
			return nil
		})
		switch {
		case err == nil && accepted <= limit:
			return nil
		case err != nil && !errors.Is(err, sdk.CallOrder):
			return fmt.Errorf("a new Run after a cancelled one: %w", err)
		case time.Since(cancelled) > limit:
			return fmt.Errorf("no new Run was accepted within %v of the cancel; the backend declares %v", limit, e.maxCancel())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
