package main

import (
	"context"

	"github.com/llenergymeasure/llem/sdk"
)

// counted is what a worker has counted.
type counted struct {
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

// Counters implements sdk.Counting. Ranks compute the same tokens, so the first
// one's counts are those of all; their bytes of memory are added up.
func (b *backend) Counters(ctx context.Context) (sdk.Counters, error) {
	ranks := make([]counted, b.workers.Size())
	if _, err := b.call(ctx, "counters", nil, nil, pointers(ranks)...); err != nil {
		return sdk.Counters{}, err
	}
	c := ranks[0].Counts
	counters := sdk.Counters{
		MonoNs: ranks[0].MonoNs, EngineSteps: c.EngineSteps, PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens,
		PaddingTokens: c.PaddingTokens, ScheduledTokens: c.ScheduledTokens, SpecAccepted: c.SpecAccepted, Recompiles: c.Recompiles,
		CachedPromptTokens: c.Cached, Preemptions: c.Preemptions,
	}
	for _, n := range ranks[0].Named {
		counters.Named = append(counters.Named, sdk.NamedMetric{Name: n.Name, Unit: n.Unit, Direction: "lower", Value: sum(ranks, n.Name)})
	}
	return counters, nil
}

// sum adds up a named metric over the ranks.
func sum(ranks []counted, name string) (total float64) {
	for _, r := range ranks {
		for _, n := range r.Named {
			if n.Name == name {
				total += n.Value
			}
		}
	}
	return total
}

// pointers are those of the elements, for decoders to fill in.
func pointers[T any](list []T) []any {
	all := make([]any, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}
