package measure

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// measure runs conditioning and windows in one Run. settledNs is where the
// windows may begin.
func (t *trial) measure(ctx context.Context, work preparedWork) (driven, int64, error) {
	var (
		rule      = newSettleRule(t.cell.Protocol.ConditioningS)
		wanted    = int64(float64(t.windows) * t.cell.Protocol.WindowS * 1e9)
		settledNs int64
		nextLook  int64
	)
	// The last word before the window: whoever draws progress is done with it
	// long before conditioning is over.
	t.progress(PhaseMeasure, 0, fmt.Sprintf("conditioning and %d x %v s", t.windows, t.cell.Protocol.WindowS))
	decide := func(v runView) sdk.StopKind {
		if settledNs == 0 {
			if v.nowNs-v.beginNs < rule.leastNs || v.nowNs < nextLook {
				return sdk.StopNone
			}
			nextLook = v.nowNs + settleLookNs
			over, settled, reason := rule.decide(t.settleState(v))
			if !over {
				return sdk.StopNone
			}
			settledNs = v.nowNs
			t.record.Conditioning = &result.Conditioning{FromNs: v.beginNs, ToNs: v.nowNs, Settled: settled, Reason: reason}
			return sdk.StopNone
		}
		if v.nowNs-settledNs < wanted || !t.enough(v, settledNs, wanted) {
			return sdk.StopNone
		}
		if t.spec("").Loop == sdk.LoopBatch {
			return sdk.StopAfterPass
		}
		return sdk.StopDrain
	}
	t.watch.runBegins(t.recorder.sources, t.gpus)
	run, err := driveRun(ctx, t.backend, t.spec(work.id), t.stall(), decide)
	t.watch.runEnds(ctx, t.recorder.sources, t.gpus, t.record.Load.Report)
	t.record.Run = &run.record
	if err := t.attempt.WriteRequests(run.completions, "measured"); err != nil {
		return run, 0, &phaseError{phase: "write", err: err}
	}
	if err != nil {
		return run, 0, &phaseError{phase: "run", err: err}
	}
	if settledNs == 0 {
		return run, 0, &phaseError{phase: "run", code: codeWorkMissing, err: fmt.Errorf(
			"the Run ended (%s) before conditioning was over, after %d requests of which %d failed%s",
			run.record.Reason, run.record.Requests, run.record.Failed, firstError(run.completions))}
	}
	t.countersMismatch(run)
	if !t.record.Conditioning.Settled {
		t.warn("not_warm", energy.SeverityWarning, t.record.Conditioning.Reason)
	}
	return run, settledNs, nil
}

// settleLookNs is the least time between two looks at whether the load has
// settled: a look walks over the samples of the stretch.
const settleLookNs = int64(100e6)

// stall bounds the time without progress: a long pass of static batches may
// complete nothing until its end.
func (t *trial) stall() time.Duration {
	bound := t.Stall
	for _, p := range t.record.WarmUp.Passes {
		bound = max(bound, firstPassStalls*time.Duration(p.EndNs-p.BeginNs))
	}
	return bound
}

// enough tells whether the windows can be cut from what has run by now.
func (t *trial) enough(v runView, settledNs, wantedNs int64) bool {
	if t.spec("").Loop == sdk.LoopBatch {
		return len(cutPasses(v.passes, nil, settledNs, wantedNs/int64(t.windows), t.windows)) == t.windows
	}
	if len(v.beats) == 0 {
		return false
	}
	// Completions arrive late; a margin of two rounds, by the rate seen so
	// far, makes sure that both edges exist. Failures make no edge.
	last := v.beats[len(v.beats)-1]
	elapsed := float64(v.nowNs - v.beginNs)
	round := elapsed * float64(max(1, t.cell.Load.Concurrency)) / math.Max(1, float64(last.Done-last.Failed))
	return float64(v.nowNs-settledNs) >= float64(wantedNs)+round*float64(1+2*t.windows)
}

// settleState reads pass times and power at this moment. It looks at the
// recordings as far as they are complete: nothing waits for a sensor here.
func (t *trial) settleState(v runView) settleState {
	s := settleState{sinceBeginNs: v.nowNs - v.beginNs}
	for _, p := range v.passes[max(0, len(v.passes)-steadyTimes):] {
		s.passTimes = append(s.passTimes, float64(p.EndNs-p.BeginNs)/1e9)
	}
	if len(v.passes) == 0 {
		for i := len(v.beats) - 1; i > 0 && len(s.passTimes) < steadyTimes; i-- {
			a, b := v.beats[i-1], v.beats[i]
			if b.Done > a.Done {
				s.passTimes = append(s.passTimes, float64(b.MonoNs-a.MonoNs)/float64(b.Done-a.Done)/1e9)
			}
		}
	}
	traces := t.recorder.traces()
	until := v.nowNs
	for _, id := range t.record.Headline {
		until = min(until, traces[id].CompleteUntilNs-traces[id].Domain.NeededUntilNs(0))
	}
	half := (until - v.beginNs) / 3
	for _, id := range t.record.Headline {
		older, errOld := traces[id].Window(until-2*half, until-half)
		newer, errNew := traces[id].Window(until-half, until)
		if errOld != nil || errNew != nil {
			s.powerOld, s.powerNew = 0, 0
			break
		}
		s.powerOld += older.MeanPowerW
		s.powerNew += newer.MeanPowerW
	}
	return s
}
