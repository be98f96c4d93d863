package measure

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

const (
	// warmUpNs is how long the warm-up Run goes on, beyond its first pass, to
	// learn the rate.
	warmUpNs = int64(2e9)
	// warmUpPasses is how many passes are prepared for it, and fastPasses how
	// many a fast one has: the first alone would tell too low a rate.
	warmUpPasses = 32
	fastPasses   = 3
	// More work is prepared than the warm-up's rate predicts, so that no prompt has
	// to repeat: leastSurplus times as much in any case, which an engine alone on
	// its machine never needs. A warm-up of two seconds beside other processes may
	// tell a small part of the rate that comes about later, so up to mostSurplus is
	// prepared while that takes no more than surplusTokens: 16 MiB, made, sent and
	// stored in well under a second.
	leastSurplus  = 1.5
	mostSurplus   = 8
	surplusTokens = 4 << 20
	// mostPreparedTokens bounds the prompts held for one Run, about 512 MiB;
	// a request's own fields count as requestTokens ids.
	mostPreparedTokens = 128 << 20
	requestTokens      = 16
)

// vocab is the range that prompt ids are drawn from.
func (t *trial) vocab() uint32 {
	if v := t.record.Load.Report.Model.Vocab; v != nil {
		return *v
	}
	return 0
}

// spec is the shape of every Run of this cell.
func (t *trial) spec(workID string) sdk.RunSpec {
	spec := sdk.RunSpec{
		WorkID: workID, Loop: contractLoop(t.cell.Load.Mode), Record: sdk.RecordRequest,
		HeartbeatMs: uint32(t.waits.heartbeat.Milliseconds()),
	}
	if spec.Loop == sdk.LoopBatch {
		spec.RequestsPerPass = uint32(t.cell.Workload.Requests)
	} else {
		spec.Concurrency = uint32(t.cell.Load.Concurrency)
		spec.HeartbeatMs = closedHeartbeatMs(t.waits.heartbeat, t.cell.Protocol.ConditioningS)
		spec.Record = sdk.RecordChunk
	}
	return spec
}

// closedHeartbeatMs lets a closed loop's conditioning see six heartbeats, since
// they are what it is judged by; never more than ten a second.
func closedHeartbeatMs(usual time.Duration, conditioningS float64) uint32 {
	return uint32(min(usual, max(100*time.Millisecond, seconds(conditioningS)/6)).Milliseconds())
}

// warmUp runs the workload at full shape and returns the rate in requests/s.
func (t *trial) warmUp(ctx context.Context) (float64, error) {
	t.progress(PhaseWarmUp, 0, "")
	fail := func(err error) (float64, error) { return 0, &phaseError{phase: "warm-up", err: err} }
	if t.record.Load.Report.Model.Vocab == nil {
		t.warn("vocab_unknown", energy.SeverityWarning, fmt.Sprintf("the backend does not tell its vocabulary; prompt ids are below %d", assumedVocab))
	}
	passes, limitNs := warmUpPasses, warmUpNs
	if t.cell.Protocol.Warmup == "fast" {
		passes, limitNs = fastPasses, 0
	}
	spec := t.spec("")
	unit, _ := passUnit(t.cell)
	passes = min(passes, mostPasses(t.cell.Workload, unit))
	items := requests(t.cell.Workload, t.vocab(), warmUpStream, unit*passes)
	if isOpen(t.cell) {
		t.schedule(true).arrive(items)
	}
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return fail(err)
	}
	spec.WorkID = prepared.WorkID
	// The engine may compile at its first pass; nothing is known yet of how
	// long a pass takes.
	stop := stopWarmUp(spec, limitNs)
	if isOpen(t.cell) {
		stop = t.newDrain(len(items)).bound(stop)
	}
	run, err := driveRun(ctx, t.backend, spec, max(firstPassStalls*t.Stall, t.longestGap()), stop)
	if err != nil {
		return fail(err)
	}
	t.record.WarmUp = &run.record
	rate := warmRate(run, unit)
	if rate <= 0 {
		return 0, &phaseError{phase: "warm-up", code: codeAllFailed, err: fmt.Errorf(
			"none of %d requests completed%s", run.record.Requests, firstError(run.completions))}
	}
	return rate, nil
}

// firstPassStalls is how many times Options.Stall a Run may go without
// progress that has no pass before it.
const firstPassStalls = 5

// stopWarmUp ends a warm-up limitNs after its first pass, or as many requests
// as are in flight; 0 = it ends with its work.
func stopWarmUp(spec sdk.RunSpec, limitNs int64) stopDecision {
	var firstPassNs int64
	return func(v runView) sdk.StopKind {
		if firstPassNs == 0 && v.firstRound(spec) {
			firstPassNs = v.nowNs
		}
		switch {
		case limitNs == 0 || firstPassNs == 0 || v.nowNs-firstPassNs < limitNs:
			return sdk.StopNone
		case spec.Loop == sdk.LoopBatch:
			return sdk.StopAfterPass
		}
		return sdk.StopDrain
	}
}

// firstRound tells whether a pass is over, or as many requests as are in
// flight at a time.
func (v runView) firstRound(spec sdk.RunSpec) bool {
	if spec.Loop == sdk.LoopBatch {
		return len(v.passes) > 0
	}
	return len(v.beats) > 0 && v.beats[len(v.beats)-1].Done >= int64(max(1, spec.Concurrency))
}

// warmRate is the greatest rate seen, in requests/s: the first passes may be
// slow, and work that is left over costs little. Without passes the later half
// of the requests is looked at besides the whole, if it is two rounds of what
// is in flight or more.
func warmRate(run driven, inFlight int) float64 {
	perS := func(count, ns int64) float64 { return float64(count) / (float64(max(1, ns)) / 1e9) }
	rate := perS(run.record.Requests-run.record.Failed, run.record.EndNs-run.record.BeginNs)
	for _, p := range run.record.Passes {
		rate = max(rate, perS(int64(p.Requests)-int64(p.Failed), p.EndNs-p.BeginNs))
	}
	var ends []int64
	for _, c := range run.completions {
		if !c.Failed() {
			ends = append(ends, c.LastNs)
		}
	}
	if half := len(ends) / 2; len(run.record.Passes) == 0 && half >= 2*inFlight {
		slices.Sort(ends)
		rate = max(rate, perS(int64(len(ends)-half), ends[len(ends)-1]-ends[half-1]))
	}
	return rate
}

func firstError(completions []sdk.Completion) string {
	for _, c := range completions {
		if c.Failed() {
			return "; the first error: " + c.Error
		}
	}
	return ""
}

// longestGap is a time between two arrivals that does not come about.
func (t *trial) longestGap() time.Duration {
	if !isOpen(t.cell) {
		return 0
	}
	const meanGaps = 20
	return seconds(meanGaps * irregularity(t.cell) * irregularity(t.cell) / t.cell.Load.Rate)
}

// passesToPrepare is how many passes of unit requests are prepared for longestS
// seconds, and how many are wanted but for the bound on memory.
func passesToPrepare(w study.Workload, unit, windows int, rate, longestS float64) (count, wanted int) {
	predicted := rate * longestS
	surplus := min(mostSurplus, max(leastSurplus, surplusTokens/(predicted*float64(preparedTokens(w)))))
	wanted = int(min(math.Ceil(surplus*predicted/float64(unit)), math.MaxInt32)) + 3*(windows+1)
	return min(wanted, mostPasses(w, unit)), wanted
}

// preparedTokens is what a request takes of the bounds on prepared tokens.
func preparedTokens(w study.Workload) int64 { return int64(w.InputTokens) + requestTokens }

// mostPasses is how many passes of unit requests memory is spent on; at least
// one.
func mostPasses(w study.Workload, unit int) int {
	return int(max(1, mostPreparedTokens/(preparedTokens(w)*int64(unit))))
}

// preparedWork is what the measured Run will send. The requests themselves are
// not held while it runs.
type preparedWork struct {
	id         string
	passHashes []string
	ratePerS   float64 // that the warm-up told; 0: work is prepared by a schedule
}

// usedUp says why a Run may have ended with its work; empty if it did not.
func (w preparedWork) usedUp(run result.Run) string {
	if run.Reason != sdk.FinishWorkUsedUp || w.ratePerS == 0 || run.EndNs <= run.BeginNs {
		return ""
	}
	return fmt.Sprintf("; work was prepared for the %.3g requests/s of the warm-up and the Run did %.3g: where other processes slowed the warm-up, measure on a quiet machine and with protocol.warmup = %q",
		w.ratePerS, float64(run.Requests-run.Failed)/(float64(run.EndNs-run.BeginNs)/1e9), "full")
}

// prepare hands over the work that the warm-up's rate predicts for the longest
// conditioning and all windows, with its surplus; of an open loop, what arrives in
// them.
func (t *trial) prepare(ctx context.Context, rate float64) (preparedWork, error) {
	t.progress(PhasePrepare, 0, "")
	p := t.cell.Protocol
	longest := float64(newSettleRule(p.ConditioningS).mostNs)/1e9 + float64(t.windows)*p.WindowS
	unit, _ := passUnit(t.cell)
	count, wanted := passesToPrepare(t.cell.Workload, unit, t.windows, rate, longest)
	if isOpen(t.cell) {
		rate, unit, wanted = 0, 1, scheduledRequests(t.cell, t.windows)
		count = min(wanted, mostPasses(t.cell.Workload, unit))
	}
	if count < wanted {
		t.warn("work_capped", energy.SeverityWarning, fmt.Sprintf("%d passes were wanted and %d prepared, to bound memory; the Run may end early", wanted, count))
	}
	items := requests(t.cell.Workload, t.vocab(), 0, count*unit)
	var arrive *result.Schedule
	if isOpen(t.cell) {
		s := t.schedule(false)
		s.arrive(items)
		arrive = &result.Schedule{Mode: s.mode, RatePerS: s.ratePerS, Burstiness: s.burstiness, Seed: s.seed, Block: s.block}
	}
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return preparedWork{}, &phaseError{phase: "prepare", err: err}
	}
	hash := hex.EncodeToString(prepared.TokenHash[:])
	t.record.Work = &result.Work{Hash: workHash(t.cell.Workload, t.vocab()), Requests: len(items), TokenHash: hash, Schedule: arrive}
	if err := t.Dir.WriteWork(hash, items); err != nil {
		return preparedWork{}, &phaseError{phase: "write", err: err}
	}
	return preparedWork{id: prepared.WorkID, passHashes: passHashes(items, t.cell.Workload.Requests), ratePerS: rate}, nil
}
