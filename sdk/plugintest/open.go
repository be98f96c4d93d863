package plugintest

import (
	"context"
	"errors"
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// Arrivals of the open loop's rule: so many, in pairs, each pair so long after the
// one before it. mostLateNs is generous to a busy machine.
const (
	openRequests = 20
	openPairNs   = int64(20e6)
	mostLateNs   = int64(1e9)
)

// openLoop wants each request sent at its moment, also where the one before it has
// not ended, and never before; and all their records where the host breaks off.
func openLoop(ctx context.Context, s *suite) error {
	e, err := s.running(ctx)
	if err != nil {
		return err
	}
	if !e.can(sdk.LoopOpen) {
		return skip("the backend does not declare the open loop")
	}
	work := e.work(openRequests)
	for i := range work.Items {
		work.Items[i].ArrivalOffsetNs = int64(1+i/2) * openPairNs
	}
	prepared, err := e.Prepare(ctx, work)
	if err != nil {
		return err
	}
	spec := e.spec(sdk.LoopOpen)
	spec.WorkID = prepared.WorkID
	var began int64
	var all sdk.Completions
	finished, err := e.Run(ctx, spec, func(event sdk.RunEvent) error {
		switch x := event.(type) {
		case sdk.Started:
			began = x.MonoNs
		case sdk.Completions:
			all = append(all, x...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range all {
		due := began + work.Items[c.Request].ArrivalOffsetNs
		if off := c.IntendedNs - due; off < -stampTolerance || off > stampTolerance {
			return fmt.Errorf("request %d was due %.3f s after the Run's start, and its completion says %.3f s",
				c.Request, float64(due-began)/1e9, float64(c.IntendedNs-began)/1e9)
		}
		if late := c.SentNs - due; late < -stampTolerance || late > mostLateNs {
			return fmt.Errorf("request %d was sent %.3f s after it was due", c.Request, float64(late)/1e9)
		}
	}
	if err := e.judgeTotals(finished, sdk.FinishWorkUsedUp, openRequests); err != nil {
		return err
	}
	return brokenOff(ctx, e)
}

// brokenOff wants the record of every request that an open loop sent, also of those
// that wait in the engine when the host breaks its drain off.
func brokenOff(ctx context.Context, e *engine) error {
	work := e.work(backlogRequests)
	for i := range work.Items {
		work.Items[i].ArrivalOffsetNs = int64(1+i) * backlogGapNs
	}
	prepared, err := e.Prepare(ctx, work)
	if err != nil {
		return err
	}
	spec := e.spec(sdk.LoopOpen)
	spec.WorkID, spec.HeartbeatMs = prepared.WorkID, 50
	var sent, completed int64
	stopped := false
	finished, err := e.Run(ctx, spec, func(event sdk.RunEvent) error {
		switch x := event.(type) {
		case sdk.Completions:
			completed += int64(len(x))
		case sdk.Heartbeat:
			sent = x.Sent
			if x.Sent == 0 || stopped {
				return nil
			}
			stopped = true
			_, drain := e.Stop(ctx, sdk.StopDrain)
			_, abort := e.Stop(ctx, sdk.StopAbort)
			return errors.Join(drain, abort)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case stopped && finished.Reason == sdk.FinishWorkUsedUp && completed < backlogRequests:
		return fmt.Errorf("the Run ended for the reason %q with %d of %d requests done", finished.Reason, completed, backlogRequests)
	case completed < sent:
		return fmt.Errorf("%d requests were sent and %d are on record; each that was broken off needs a completion, too", sent, completed)
	}
	return nil
}

// Arrivals of the rule about an open loop that is broken off: more of them than most
// engines serve in the time.
const (
	backlogRequests = 500
	backlogGapNs    = int64(1e6)
)
