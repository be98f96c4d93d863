package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
)

// Run implements sdk.Backend.
func (b *backend) Run(ctx context.Context, run *sdk.Run) error {
	var err error
	switch loop := run.Spec().Loop; loop {
	case sdk.LoopBatch:
		err = b.runPasses(ctx, run)
	case sdk.LoopClosed:
		err = b.runClosed(ctx, run)
	default:
		return &sdk.Error{Code: sdk.UnsupportedFeature, Message: fmt.Sprintf("this backend cannot be driven with a %s loop", loop)}
	}
	if errors.Is(err, sdk.ErrAborted) {
		return nil // everything is recorded
	}
	return err
}

// runPasses runs each pass in static batches: a batch begins when the one
// before it has ended, and all its prompts come before its first decode step.
// Sequences that end early leave the batch, so nothing is padded.
func (b *backend) runPasses(ctx context.Context, run *sdk.Run) error {
	size := b.engine.Options.BatchSize
	for pass := range run.Passes(ctx) {
		for from := 0; from < len(pass.Items); from += size {
			items := pass.Items[from:min(from+size, len(pass.Items))]
			job := newJob(run)
			job.PrefillFirst = true
			job.InFlight = len(items)
			job.Next = inTurn(items, pass.First+uint32(from))
			if len(items) == len(pass.Items) {
				job.Prefilled = pass.PrefillEnd
			}
			if err := b.engine.Serve(ctx, job); err != nil {
				return err
			}
		}
	}
	return nil
}

// inTurn hands out items; first is the index of the first one.
func inTurn(items []sdk.WorkItem, first uint32) func() (engine.Request, bool) {
	next := 0
	return func() (engine.Request, bool) {
		if next == len(items) {
			return engine.Request{}, false
		}
		next++
		return request(first+uint32(next-1), items[next-1]), true
	}
}

// runClosed keeps the concurrency in flight: a request is taken as soon as
// another has ended, and its prompt enters beside the decoding of the others.
func (b *backend) runClosed(ctx context.Context, run *sdk.Run) error {
	job := newJob(run)
	job.InFlight = int(run.Spec().Concurrency)
	job.Next = func() (engine.Request, bool) {
		r, ok := run.Next(ctx)
		return request(r.Index, r.Item), ok
	}
	return b.engine.Serve(ctx, job)
}

func request(index uint32, item sdk.WorkItem) engine.Request {
	return engine.Request{Index: index, Prompt: item.TokenIDs, MaxTokens: int(item.MaxTokens)}
}

// newJob is what both loops have in common.
func newJob(run *sdk.Run) engine.Job {
	spec, work := run.Spec(), run.Work()
	job := engine.Job{
		StopAtEnd:   !work.ExactLengths,
		Sampling:    work.Sampling,
		TokenStamps: spec.Record != sdk.RecordRequest,
		Done:        func(r engine.Result) { run.Complete(completion(r)) },
	}
	if spec.RecordSteps {
		job.Stepped = func(s engine.Step) {
			run.Step(sdk.Step{EndNs: s.EndNs, PrefillTokens: uint32(s.PrefillTokens), DecodeTokens: uint32(s.DecodeTokens)})
		}
	}
	return job
}

func completion(r engine.Result) sdk.Completion {
	hash := sdk.OutputHash(r.Output)
	c := sdk.Completion{
		Request: r.Index, SentNs: r.SentNs, FirstNs: r.FirstNs, LastNs: r.LastNs,
		PromptTokens: uint32(r.PromptTokens), OutputTokens: uint32(len(r.Output)),
		CachedPromptTokens: new(uint32), OutputHash: &hash, FinishReason: string(r.Reason),
	}
	if r.Err != nil {
		c.Error = r.Err.Error()
	}
	for _, stamp := range r.TokenNs {
		c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: stamp, Tokens: 1})
	}
	return c
}
