package loadgen

import (
	"context"
	"sync"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen/mockserver"
)

// rig is a Run against a mock server.
type rig struct {
	options Options
	spec    sdk.RunSpec
	work    *sdk.Work
	begun   func(*sdk.Run)
}

type outcome struct {
	completions map[uint32]sdk.Completion
	passes      []sdk.PassRecord
	finished    sdk.Finished
	report      Report
	err         error
}

func newRig(loop sdk.Loop, requests int) *rig {
	work := &sdk.Work{ID: "w", ExactLengths: true}
	for i := range requests {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(1000 + i), 7, 8}, MaxTokens: 8})
	}
	return &rig{
		options: Options{Model: "m", Dialect: VLLM()},
		spec:    sdk.RunSpec{WorkID: "w", Loop: loop, Concurrency: 4, RequestsPerPass: 4, Record: sdk.RecordChunk},
		work:    work,
	}
}

func start(t testing.TB, o mockserver.Options) *mockserver.Server {
	t.Helper()
	server, err := mockserver.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func (r *rig) run(t testing.TB, ctx context.Context, url string) outcome {
	t.Helper()
	r.options.URL = url
	g, err := New(ctx, r.options)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{completions: map[uint32]sdk.Completion{}}
	var mu sync.Mutex
	run := sdk.NewRun(r.spec, r.work, func(e sdk.RunEvent) {
		mu.Lock()
		defer mu.Unlock()
		switch x := e.(type) {
		case sdk.PassRecord:
			out.passes = append(out.passes, x)
		case sdk.Completions:
			for _, c := range x {
				if _, twice := out.completions[c.Request]; twice {
					t.Errorf("request %d was completed twice", c.Request)
				}
				out.completions[c.Request] = c
			}
		}
	})
	if r.begun != nil {
		r.begun(run)
	}
	out.report, out.err = g.Run(ctx, run)
	if out.finished, err = run.Finish(); err != nil {
		t.Error(err)
	}
	for _, c := range out.completions {
		checkCompletion(t, c)
		if c.SentNs < run.BeginNs() {
			t.Errorf("request %d was sent at %d, before the Run began at %d", c.Request, c.SentNs, run.BeginNs())
		}
	}
	if int(out.report.Requests) != len(out.completions) {
		t.Errorf("the report has %d requests, %d were completed", out.report.Requests, len(out.completions))
	}
	return out
}

// checkCompletion holds for every completion, whatever the server did.
func checkCompletion(t testing.TB, c sdk.Completion) {
	t.Helper()
	var sum uint32
	last := c.SentNs
	for _, chunk := range c.Chunks {
		if chunk.MonoNs < last {
			t.Errorf("request %d has a chunk at %d after %d", c.Request, chunk.MonoNs, last)
		}
		sum, last = sum+chunk.Tokens, chunk.MonoNs
	}
	if len(c.Chunks) > 0 && (sum != c.OutputTokens || c.FirstNs != c.Chunks[0].MonoNs || c.LastNs != last) {
		t.Errorf("request %d: %d tokens in chunks of %d, first %d, last %d", c.Request, sum, c.OutputTokens, c.FirstNs, c.LastNs)
	}
	if c.Failed() != (c.FinishReason == "error") {
		t.Errorf("request %d ended as %q with the error %q", c.Request, c.FinishReason, c.Error)
	}
}
