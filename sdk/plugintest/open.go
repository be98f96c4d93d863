package plugintest

import (
	"context"
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
// not ended, and never before.
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
	return e.judgeTotals(finished, sdk.FinishWorkUsedUp, openRequests)
}
