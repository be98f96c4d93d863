package measure

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

const (
	// warmUpNs is how long the warm-up Run goes on, beyond its first pass, to
	// learn the rate.
	warmUpNs = int64(2e9)
	// warmUpPasses is how many passes are prepared for it.
	warmUpPasses = 32
	// workSurplus is how much more work is prepared than the warm-up's rate
	// predicts, so that no prompt has to repeat.
	workSurplus = 1.5
	// mostPreparedTokens bounds the prompts held for one Run, about 512 MiB.
	mostPreparedTokens = 128 << 20
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
		RecordSteps: true, HeartbeatMs: 1000,
	}
	if spec.Loop == sdk.LoopBatch {
		spec.RequestsPerPass = uint32(t.cell.Workload.Requests)
	} else {
		spec.Concurrency = uint32(t.cell.Load.Concurrency)
		spec.Record = sdk.RecordChunk
	}
	return spec
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
		passes, limitNs = 1, 0
	}
	spec := t.spec("")
	unit := int(spec.RequestsPerPass)
	if spec.Loop != sdk.LoopBatch {
		unit = max(t.cell.Load.Concurrency, 1)
		passes = max(passes, 2)
	}
	items := requests(t.cell.Workload, t.vocab(), warmUpStream, unit*passes)
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return fail(err)
	}
	spec.WorkID, spec.MaxDurationNs = prepared.WorkID, limitNs
	if limitNs == 0 {
		spec.MaxRequests = uint32(unit * passes)
	}
	run, err := driveRun(ctx, t.backend, spec, t.Stall, func(runView) sdk.StopKind { return sdk.StopNone })
	if err != nil {
		return fail(err)
	}
	t.record.WarmUp = &run.record
	rate := warmRate(run)
	if rate <= 0 {
		return fail(fmt.Errorf("none of %d requests completed (%d failed)%s", run.record.Requests, run.record.Failed, firstError(run.completions)))
	}
	return rate, nil
}

// warmRate is the greatest rate seen, in requests/s: the first passes may be
// slow, and work that is left over costs little.
func warmRate(run driven) float64 {
	done := float64(run.record.Requests - run.record.Failed)
	rate := done / (float64(run.record.EndNs-run.record.BeginNs) / 1e9)
	for _, p := range run.record.Passes {
		if p.EndNs > p.BeginNs && p.Failed < p.Requests {
			rate = max(rate, float64(p.Requests-p.Failed)/(float64(p.EndNs-p.BeginNs)/1e9))
		}
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

// preparedWork is what the measured Run will send.
type preparedWork struct {
	id    string
	items []sdk.WorkItem
}

// prepare hands over 1.5 times the work that the warm-up's rate predicts for
// the longest conditioning and all windows.
func (t *trial) prepare(ctx context.Context, rate float64) (preparedWork, error) {
	t.progress(PhasePrepare, 0, "")
	p := t.cell.Protocol
	longest := float64(newSettleRule(p.ConditioningS).mostNs)/1e9 + float64(t.windows)*p.WindowS
	unit := t.cell.Workload.Requests
	if t.cell.Load.Mode != string(sdk.LoopBatch) {
		unit = max(1, t.cell.Load.Concurrency)
	}
	count := int(math.Ceil(workSurplus*rate*longest/float64(unit))) + 3*(t.windows+1)
	most := mostPreparedTokens / max(1, t.cell.Workload.InputTokens*unit)
	if count > most {
		t.warn("work_capped", energy.SeverityWarning, fmt.Sprintf("%d passes were wanted and %d prepared, to bound memory; the Run may end early", count, most))
		count = most
	}
	items := requests(t.cell.Workload, t.vocab(), 0, count*unit)
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return preparedWork{}, &phaseError{phase: "prepare", err: err}
	}
	hash := hex.EncodeToString(prepared.TokenHash[:])
	t.record.Work = &result.Work{Hash: workHash(t.cell.Workload, t.vocab()), Requests: len(items), TokenHash: hash}
	if err := t.Dir.WriteWork(hash, items); err != nil {
		return preparedWork{}, &phaseError{phase: "write", err: err}
	}
	return preparedWork{id: prepared.WorkID, items: items}, nil
}
