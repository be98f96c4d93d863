package measure

import (
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// mostDrain is how long an open loop may take for what is in flight when no more
// is sent, or a window's time if that is longer. No window reaches into the drain.
// An engine that keeps up drains in the time that a request takes; the backlog of
// one that does not may be any number of requests.
const mostDrain = 30 * time.Second

// drain watches the end of an open loop's Run.
type drain struct {
	mostNs   int64
	prepared int64         // requests of the Run's work
	first    sdk.Heartbeat // that counted a request as done
	sinceNs  int64         // when no more was sent; 0 = more is
	// inFlight and leftNs are what made it too long.
	inFlight, leftNs int64
}

// newDrain bounds the drain of a Run over so many requests.
func (t *trial) newDrain(prepared int) *drain {
	return &drain{mostNs: max(t.waits.drain.Nanoseconds(), int64(t.cell.Protocol.WindowS*1e9)), prepared: int64(prepared)}
}

// bound makes of a decision one that breaks off a drain that would take too long.
// What is in flight then still arrives, as far as it came.
func (d *drain) bound(decide stopDecision) stopDecision {
	stopped := false
	return func(v runView) sdk.StopKind {
		kind := sdk.StopNone
		if !stopped {
			kind = decide(v)
			stopped = kind != sdk.StopNone
		}
		if d.tooLong(v, stopped) {
			return sdk.StopAbort
		}
		return kind
	}
}

// tooLong tells whether what is in flight would not be over in time, by the rate
// since the first completion: an engine may compile before that. One that completes
// nothing at all is the affair of the bound on Runs without progress.
func (d *drain) tooLong(v runView, stopped bool) bool {
	if len(v.beats) == 0 {
		return false
	}
	last := v.beats[len(v.beats)-1]
	if d.first.Done == 0 {
		d.first = last
	}
	if d.first.Done == 0 || !stopped && last.Sent < d.prepared {
		return false
	}
	if d.sinceNs == 0 {
		d.sinceNs = v.nowNs
	}
	d.inFlight, d.leftNs = last.Sent-last.Done, 0
	if done := last.Done - d.first.Done; done > 0 {
		d.leftNs = int64(float64(d.inFlight) * float64(last.MonoNs-d.first.MonoNs) / float64(done))
	}
	return d.inFlight > 0 && v.nowNs-d.sinceNs+d.leftNs > d.mostNs
}

// told says in the record that a drain was broken off.
func (d *drain) told(t *trial, run result.Run) {
	if run.Reason != sdk.FinishAborted {
		return
	}
	t.warn("drain_cut", energy.SeverityInfo, fmt.Sprintf(
		"when no more requests were sent %d were in flight, which would have taken about %.0f s more (at most %.0f s are waited for); they were broken off, and no window reaches so far",
		d.inFlight, float64(d.leftNs)/1e9, float64(d.mostNs)/1e9))
}

// untilEnd lets the requests that were broken off with the Run end with it: they
// were in flight until then, whatever their last stamp, and from when they were due:
// some never came as far as the engine.
func untilEnd(run result.Run, completions []sdk.Completion) []sdk.Completion {
	if run.Reason != sdk.FinishAborted {
		return completions
	}
	all := make([]sdk.Completion, len(completions))
	for i, c := range completions {
		if all[i] = c; c.FinishReason == "aborted" && !c.Failed() {
			all[i].LastNs, all[i].SentNs = run.EndNs, min(c.SentNs, dueNs(c))
		}
	}
	return all
}
