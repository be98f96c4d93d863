package measure

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// measure runs conditioning and windows in one Run. settledNs is where the
// windows may begin: after conditioning, or with the first pass in the cooldown
// regime.
func (t *trial) measure(ctx context.Context, work preparedWork) (driven, int64, error) {
	var (
		spec      = t.spec(work.id)
		rule      = newSettleRule(t.cell.Protocol.ConditioningS)
		wanted    = int64(float64(t.windows) * t.cell.Protocol.WindowS * 1e9)
		settledNs int64
		nextLook  int64
	)
	t.gaps(&spec)
	// The last word before the window: whoever draws progress is done with it
	// long before conditioning is over.
	detail := fmt.Sprintf("%d x %v s", t.windows, t.cell.Protocol.WindowS)
	if !t.cold() {
		detail = "conditioning and " + detail
	}
	t.progress(PhaseMeasure, 0, detail)
	decide := func(v runView) sdk.StopKind {
		switch {
		case settledNs == 0 && t.cold():
			settledNs = v.beginNs
		case settledNs == 0:
			if v.nowNs-v.beginNs < rule.leastNs || v.nowNs < nextLook {
				return sdk.StopNone
			}
			state := t.settleState(v)
			nextLook = v.nowNs + max(settleLookNs, state.sinceBeginNs/settleLooks)
			if over, conditioning := rule.decide(state); over {
				settledNs = v.nowNs
				conditioning.FromNs, conditioning.ToNs = v.beginNs, v.nowNs
				t.record.Conditioning = &conditioning
			}
			return sdk.StopNone
		}
		if v.nowNs-settledNs < wanted || !t.enough(v, spec, settledNs, wanted) {
			return sdk.StopNone
		}
		if spec.Loop == sdk.LoopBatch {
			return sdk.StopAfterPass
		}
		return sdk.StopDrain
	}
	end := t.newDrain(t.record.Work.Requests)
	if isOpen(t.cell) {
		decide = end.bound(decide)
	}
	t.watch.runBegins(t.recorder.sources, t.gpus, t.record.Load.Report)
	run, err := driveRun(ctx, t.backend, spec, t.stall(), decide)
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
			"the Run ended (%s) before conditioning was over, after %d requests of which %d failed%s%s",
			run.record.Reason, run.record.Requests, run.record.Failed, work.usedUp(run.record), firstError(run.completions))}
	}
	for _, w := range run.record.Warnings {
		t.warn(w.Code, energy.SeverityWarning, w.Message)
	}
	end.told(t, run.record)
	t.countersMismatch(run)
	if c := t.record.Conditioning; c != nil && !c.Settled {
		t.warn("not_warm", energy.SeverityWarning, c.Reason)
	}
	return run, settledNs, nil
}

// A look at whether the load has settled walks over the samples of its stretch, on
// the machine under measurement: one comes settleLookNs after another at the
// least, and about settleLooks of them in the time that the load has run.
const (
	settleLookNs = int64(100e6)
	settleLooks  = 30
)

// stall bounds the time without progress: a long pass of static batches may
// complete nothing until its end.
func (t *trial) stall() time.Duration {
	bound := max(t.Stall, t.longestGap())
	for _, p := range t.record.WarmUp.Passes {
		bound = max(bound, firstPassStalls*time.Duration(p.EndNs-p.BeginNs))
	}
	return bound
}

// enough tells whether the windows can be cut from what has run by now.
func (t *trial) enough(v runView, spec sdk.RunSpec, settledNs, wantedNs int64) bool {
	if spec.Loop == sdk.LoopBatch {
		return len(cutPasses(v.passes, nil, settledNs, wantedNs/int64(t.windows), t.windows, spec.GapNsMost > 0)) == t.windows
	}
	if len(v.beats) == 0 {
		return false
	}
	// Completions arrive late; a margin of two rounds, by the rate seen so
	// far, makes sure that both edges exist. Failures make no edge.
	last := v.beats[len(v.beats)-1]
	elapsed := float64(v.nowNs - v.beginNs)
	round := elapsed * float64(step(t.cell)) / math.Max(1, float64(last.Done-last.Failed))
	return float64(v.nowNs-settledNs) >= float64(wantedNs)+round*edgeRounds(t.cell, t.windows)
}

// settleState reads pass times, power and temperature at this moment. It looks at
// the recordings as far as they are complete: nothing waits for a sensor here.
func (t *trial) settleState(v runView) settleState {
	s := settleState{sinceBeginNs: v.nowNs - v.beginNs}
	fromNs := max(v.beginNs, v.nowNs-settleStretchNs)
	if t.spec("").Loop == sdk.LoopBatch {
		s.passes = int64(len(v.passes))
		for _, p := range v.passes[max(0, len(v.passes)-settlePasses):] {
			s.passTimes = append(s.passTimes, float64(p.EndNs-p.BeginNs)/1e9)
		}
	} else if isOpen(t.cell) && len(v.beats) > 0 {
		s.open = true
		if s.passTimes, s.countingRel = flow(v.beats, fromNs); s.passTimes != nil {
			s.passes = int64(float64(v.beats[len(v.beats)-1].Done) / s.passTimes[settlePasses-1])
		}
	} else if len(v.beats) > 0 {
		inFlight := max(1, t.cell.Load.Concurrency)
		s.passes = v.beats[len(v.beats)-1].Done / int64(inFlight)
		s.passTimes, s.countingRel = roundTimes(v.beats, fromNs, inFlight)
	}
	if headline, err := t.headlineTraces(t.recorder.traces()); err == nil {
		until := v.nowNs
		for _, trace := range headline {
			until = min(until, trace.CompleteUntilNs-trace.Domain.NeededUntilNs(0))
		}
		s.power = trend(headline, v.beginNs, until)
	}
	s.temperature, s.silent = warming(t.watch.seen(t.gpus), fromNs, v.nowNs)
	return s
}
