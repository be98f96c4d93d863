package main

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// backend serves one load. Its worker is nil before Load and after Unload.
type backend struct {
	worker     *worker.Process
	continuous bool
	patience   time.Duration // with a worker that is to break off; 0 = maxCancelMs
}

// unloadLimit is within which time a worker ends before it is killed.
const unloadLimit = 5 * time.Second

// Unload implements sdk.Backend. The device is freed with the worker.
func (b *backend) Unload(ctx context.Context) error {
	if b.worker == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, unloadLimit)
	defer cancel()
	w := b.worker
	b.worker = nil
	return w.Stop(ctx)
}

// call makes one call of the worker.
func (b *backend) call(ctx context.Context, name string, arguments any, data []byte, answer any) ([]byte, error) {
	return b.worker.Call(ctx, name, arguments, data, b.patienceOrDefault(), answer, nil)
}

func (b *backend) patienceOrDefault() time.Duration {
	if b.patience == 0 {
		return maxCancelMs * time.Millisecond
	}
	return b.patience
}

// Tokenize implements sdk.Tokenizer.
func (b *backend) Tokenize(ctx context.Context, texts []string) ([][]uint32, error) {
	var answer struct {
		IDs [][]uint32 `json:"ids"`
	}
	_, err := b.call(ctx, "tokenize", map[string]any{"texts": texts}, nil, &answer)
	return answer.IDs, err
}

// Counters implements sdk.Counting.
func (b *backend) Counters(ctx context.Context) (sdk.Counters, error) {
	var answer struct {
		MonoNs int64 `json:"mono_ns"`
		Counts struct {
			EngineSteps     *int64 `json:"engine_steps"`
			PromptTokens    *int64 `json:"prompt_tokens"`
			OutputTokens    *int64 `json:"output_tokens"`
			PaddingTokens   *int64 `json:"padding_tokens"`
			ScheduledTokens *int64 `json:"scheduled_tokens"`
			SpecAccepted    *int64 `json:"spec_accepted"`
			Recompiles      *int64 `json:"recompiles"`
			Cached          *int64 `json:"cached_prompt_tokens"`
			Preemptions     *int64 `json:"preemptions"`
		} `json:"counts"`
		Named []struct {
			Name, Unit string
			Value      float64
		} `json:"named"`
	}
	if _, err := b.call(ctx, "counters", nil, nil, &answer); err != nil {
		return sdk.Counters{}, err
	}
	c := answer.Counts
	counters := sdk.Counters{
		MonoNs: answer.MonoNs, EngineSteps: c.EngineSteps, PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens,
		PaddingTokens: c.PaddingTokens, ScheduledTokens: c.ScheduledTokens, SpecAccepted: c.SpecAccepted, Recompiles: c.Recompiles,
		CachedPromptTokens: c.Cached, Preemptions: c.Preemptions,
	}
	for _, n := range answer.Named {
		counters.Named = append(counters.Named, sdk.NamedMetric{Name: n.Name, Unit: n.Unit, Direction: "lower", Value: n.Value})
	}
	return counters, nil
}
