package plugintest

import (
	"context"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// Sizes of works. A Run that is to be interrupted gets more until it lasts
// long enough; an engine that uses up mostRequests in a moment is no engine
// that could be interrupted.
const (
	manyRequests = 2000
	mostRequests = 200_000
)

// perPass is how many requests a pass has.
func (e *engine) perPass() uint32 { return max(1, e.cell.Workload.RequestsPerPass) }

// maxTokens is how long an answer is.
func (e *engine) maxTokens() uint32 { return max(1, e.cell.Workload.MaxOutputTokens) }

// prepared returns a work of n requests, handing it over if there is none yet.
func (e *engine) prepared(ctx context.Context, n int) (string, error) {
	if id, ok := e.works[n]; ok {
		return id, nil
	}
	done, err := e.Prepare(ctx, e.work(n))
	if err != nil {
		return "", err
	}
	e.works[n] = done.WorkID
	return done.WorkID, nil
}

// work is n requests with prompts of their own.
func (e *engine) work(n int) *sdk.Work {
	vocab := uint32(256)
	if v := e.report.Model.Vocab; v != nil && *v > 0 {
		vocab = *v
	}
	work := &sdk.Work{Sampling: e.cell.Workload.Sampling, ExactLengths: e.cell.Workload.ExactLengths}
	for i := range n {
		ids := make([]uint32, max(1, e.cell.Workload.MaxInputTokens))
		for j := range ids {
			// Spread over the vocabulary, and another prompt for each request.
			ids[j] = uint32((uint64(i)*7919 + uint64(j)*104729 + 3) % uint64(vocab))
		}
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: ids, MaxTokens: e.maxTokens()})
	}
	return work
}

// can tells whether the backend declares a loop.
func (e *engine) can(loop sdk.Loop) bool {
	return slices.Contains(e.verdict.Loops, loop) || len(e.verdict.Loops) == 0 && loop == sdk.LoopBatch
}

// anyLoop is the first of the given loops that the backend declares.
func (e *engine) anyLoop(loops ...sdk.Loop) (sdk.Loop, error) {
	for _, loop := range loops {
		if e.can(loop) {
			return loop, nil
		}
	}
	return "", skip("the backend declares none of the loops %v, but %v", loops, e.verdict.Loops)
}

// spec is a Run with the given loop and no limit; the work is still to be
// named.
func (e *engine) spec(loop sdk.Loop) sdk.RunSpec {
	spec := sdk.RunSpec{Loop: loop, Record: sdk.RecordToken, HeartbeatMs: 100}
	switch loop {
	case sdk.LoopBatch:
		spec.RequestsPerPass = e.perPass()
	case sdk.LoopClosed:
		spec.Concurrency = max(2, e.cell.Load.Concurrency)
	}
	return spec
}

// drive prepares n requests and runs the spec over them.
func (e *engine) drive(ctx context.Context, spec sdk.RunSpec, n int, on func(sdk.RunEvent) error) (sdk.Finished, error) {
	id, err := e.prepared(ctx, n)
	if err != nil {
		return sdk.Finished{}, err
	}
	spec.WorkID = id
	return e.Run(ctx, spec, on)
}

// sustain runs the spec with ever more requests until enough says, after a
// Run, that it was long enough.
func (e *engine) sustain(ctx context.Context, spec sdk.RunSpec, on func(sdk.RunEvent) error, enough func() bool) (sdk.Finished, error) {
	for n := manyRequests; n <= mostRequests; n *= 10 {
		finished, err := e.drive(ctx, spec, n, on)
		if err != nil || enough() {
			return finished, err
		}
	}
	return sdk.Finished{}, skip("the engine uses up %d requests before it can be interrupted", mostRequests)
}

// ignore takes any event.
func ignore(sdk.RunEvent) error { return nil }
