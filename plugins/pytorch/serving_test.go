//go:build engines

package main

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

func continuousCell(t testing.TB, loop sdk.Loop) sdk.Cell {
	t.Helper()
	c := engineCell(t, sdk.Table{"batching": "continuous", "dtype": "float32", "max_batch_tokens": int64(64), "kv_cache_tokens": int64(8192), "extra": sdk.Table{"page_size": int64(32)}})
	c.Load = sdk.LoadShape{Loop: loop, Concurrency: 3}
	return c
}

// In every loop the greedy tokens are those of a plain script, lengths are exact
// and stamps lie in order, and what a Run cannot do it says.
func TestContinuousBatching(t *testing.T) {
	t.Parallel()
	const tokens = 12
	b, report := loadEngine(t, continuousCell(t, sdk.LoopClosed))
	for key, want := range map[string]any{
		"batching": "continuous", "attn_implementation": "sdpa", "max_batch_tokens": int64(64), "kv_cache_tokens": int64(8192), "prefix_caching": false,
	} {
		if report.Resolved[key] != want {
			t.Errorf("%s is %v, read back; want %v", key, report.Resolved[key], want)
		}
	}
	if most, ok := report.Resolved["batch_size"].(int64); !ok || most < 2 || len(report.Warnings) > 0 {
		t.Errorf("batch_size %v, warnings %+v", report.Resolved["batch_size"], report.Warnings)
	}
	requests := prompts(6)
	var want []uint64
	for _, ids := range plain(t, plainCase{DType: "float32", Beams: 1, Prompts: requests, Tokens: tokens})[0] {
		want = append(want, sdk.OutputHash(ids))
	}
	for _, spec := range []sdk.RunSpec{
		{Loop: sdk.LoopBatch, RequestsPerPass: 6, Record: sdk.RecordRequest},
		{Loop: sdk.LoopClosed, Concurrency: 3, Record: sdk.RecordToken},
		{Loop: sdk.LoopOpen, Record: sdk.RecordRequest},
	} {
		work := workOf(tokens, requests...)
		for i := range work.Items {
			work.Items[i].ArrivalOffsetNs = int64(i) * int64(30*time.Millisecond)
		}
		got := drive(t, b, spec, work)
		if len(got.completions) != len(requests) {
			t.Fatalf("%s: %d completions", spec.Loop, len(got.completions))
		}
		for i, c := range got.completions {
			if *c.OutputHash != want[i] || c.OutputTokens != tokens || c.FinishReason != "length" || int(c.PromptTokens) != len(requests[i]) {
				t.Errorf("%s: request %d: %+v", spec.Loop, i, c)
			}
			if !(c.IntendedNs <= c.SentNs && c.SentNs < c.FirstNs && c.FirstNs < c.LastNs) {
				t.Errorf("%s: stamps of request %d: %+v", spec.Loop, i, c)
			}
			if (len(c.Chunks) == tokens) != (spec.Record == sdk.RecordToken) {
				t.Errorf("%s: request %d has %d chunks", spec.Loop, i, len(c.Chunks))
			}
		}
		if spec.Loop == sdk.LoopBatch {
			p := got.passes[0]
			for i, c := range got.completions {
				if c.SentNs < p.BeginNs || c.LastNs > p.EndNs {
					t.Errorf("request %d %+v lies outside of its pass %+v", i, c, p)
				}
			}
		}
		if spec.Loop == sdk.LoopOpen && got.completions[5].IntendedNs-got.completions[0].IntendedNs != int64(150*time.Millisecond) {
			t.Errorf("intended %d and %d", got.completions[0].IntendedNs, got.completions[5].IntendedNs)
		}
	}
	counters, err := b.Counters(t.Context())
	if err != nil || *counters.OutputTokens != 3*6*tokens || *counters.EngineSteps < tokens || *counters.CachedPromptTokens != 0 || counters.PaddingTokens != nil || counters.Preemptions != nil {
		t.Errorf("counters %+v, error %v", counters, err)
	}
}

// A natural length ends with the end of sequence.
func TestNaturalLengthsOfContinuousBatching(t *testing.T) {
	t.Parallel()
	c := continuousCell(t, sdk.LoopClosed)
	c.Model.Path = naturalModel(t)
	b, _ := loadEngine(t, c)
	work := workOf(6, []uint32{45, 74, 81, 81, 84})
	work.ExactLengths = false
	got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}, work).completions[0]
	if got.FinishReason != "stop" || *got.OutputHash != sdk.OutputHash([]uint32{1419, 1742, 726}) {
		t.Errorf("%+v", got)
	}
}

// endlessLoop starts a closed loop that goes on until it is stopped, and waits
// for its first completions.
func endlessLoop(t *testing.T, ctx context.Context, b *backend) (run *sdk.Run, done chan error) {
	t.Helper()
	work := &sdk.Work{ExactLengths: true}
	for range 20_000 {
		work.Items = append(work.Items, workOf(64, prompts(4)...).Items...)
	}
	run = sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work, func(sdk.RunEvent) {})
	done = make(chan error, 1)
	go func() { done <- b.Run(ctx, run) }()
	deadline := time.After(2 * time.Minute)
	for run.Heartbeat().Done == 0 {
		select {
		case err := <-done:
			t.Fatalf("the Run ended: %v", err)
		case <-deadline:
			t.Fatal("nothing was completed")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return run, done
}

func TestStopsOfContinuousBatching(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, continuousCell(t, sdk.LoopClosed))
	for _, kind := range []sdk.StopKind{sdk.StopDrain, sdk.StopAbort} {
		ctx, cancel := context.WithCancelCause(t.Context())
		run, done := endlessLoop(t, ctx, b)
		run.RequestStop(kind)
		if kind == sdk.StopAbort {
			cancel(sdk.ErrAborted)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		cancel(nil)
		if beat := run.Heartbeat(); beat.InFlight != 0 || beat.Failed != 0 {
			t.Errorf("%s: %+v", kind, beat)
		}
		// The engine lives on, and the next Run is whole.
		got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}, workOf(6, []uint32{45, 74, 81, 81, 84}))
		if c := got.completions[0]; *c.OutputHash != sdk.OutputHash([]uint32{1419, 1742, 726, 726, 726, 726}) {
			t.Errorf("after %s: %+v", kind, c)
		}
	}
	_, done := endlessLoop(t, t.Context(), b)
	if err := syscall.Kill(b.workers.First().PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("a killed worker: %v", err)
	}
}

func TestConformanceOfContinuousBatching(t *testing.T) {
	t.Parallel()
	plugin := buildPlugin(t)
	c := continuousCell(t, sdk.LoopClosed)
	plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &c})
}
