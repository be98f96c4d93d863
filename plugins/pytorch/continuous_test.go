package main

import (
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Closed and open loops are offered with continuous batching, and only with it.
func TestLoopsOfContinuousBatching(t *testing.T) {
	for _, loop := range []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen} {
		c := cell(sdk.Table{"batching": "continuous"})
		c.Load = sdk.LoadShape{Loop: loop, Concurrency: 4, RatePerS: 2}
		if got := check(t, c, sdk.DepthStatic); len(got.Diagnostics) > 0 || len(got.Loops) != 3 {
			t.Errorf("%s: %+v", loop, got)
		}
		delete(c.Parameters, "batching")
		if got := check(t, c, sdk.DepthStatic); got.Refused() != (loop != sdk.LoopBatch) || len(got.Loops) != 1 {
			t.Errorf("%s with static batches: %+v", loop, got)
		}
	}
}

func TestWhatContinuousBatchingCannotDo(t *testing.T) {
	for key, value := range map[string]any{
		"num_beams": int64(2), "use_cache": false, "cache_implementation": "static", "compile": true, "inference_mode": true,
		"prompt_lookup_num_tokens": int64(2), "device_map": "auto", "padding_side": "left",
	} {
		c := cell(sdk.Table{"batching": "continuous", key: value, "batch_size": int64(1)})
		wantOne(t, check(t, c, sdk.DepthStatic).Diagnostics, sdk.SeverityError, key, "continuous batching cannot")
	}
	for key, value := range map[string]any{"max_batch_tokens": int64(64), "kv_cache_tokens": int64(64), "prefix_caching": true} {
		wantOne(t, check(t, cell(sdk.Table{key: value}), sdk.DepthStatic).Diagnostics, sdk.SeverityDormant, key, `batching = "continuous"`)
	}
	c := cell(sdk.Table{"batching": "continuous"})
	c.Workload.Sampling.Temperature = 1
	wantOne(t, check(t, c, sdk.DepthStatic).Diagnostics, sdk.SeverityWarning, "workload.sampling.temperature", "do not repeat")
}
