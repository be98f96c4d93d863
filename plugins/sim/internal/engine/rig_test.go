package engine

import (
	"context"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// loaded returns an engine with the given parameters.
func loaded(t *testing.T, parameters sdk.Table) *Engine {
	t.Helper()
	e := &Engine{}
	request := sdk.LoadRequest{Cell: sdk.Cell{ID: "test", Model: sdk.Model{ID: "llem/simulated"}, Parameters: parameters}}
	if _, err := e.Load(t.Context(), request, sdk.NewProgress(func(sdk.StageEvent) {})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Unload(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// work has a request for each pair of prompt and output tokens.
func work(exact bool, lengths ...[2]int) *sdk.Work {
	w := &sdk.Work{ID: "work", ExactLengths: exact}
	for i, l := range lengths {
		ids := make([]uint32, l[0])
		for j := range ids {
			ids[j] = uint32(31*i + j)
		}
		w.Items = append(w.Items, sdk.WorkItem{TokenIDs: ids, MaxTokens: uint32(l[1])})
	}
	return w
}

func equal(n, prompt, output int) (lengths [][2]int) {
	for range n {
		lengths = append(lengths, [2]int{prompt, output})
	}
	return lengths
}

// records is what a Run left behind.
type records struct {
	completions sdk.Completions
	passes      []sdk.PassRecord
	steps       sdk.Steps
	finished    sdk.Finished
	err         error
}

// drive runs a spec to its end.
func drive(ctx context.Context, e *Engine, spec sdk.RunSpec, w *sdk.Work, started func(*sdk.Run)) records {
	var r records
	spec.RecordSteps = true
	run := sdk.NewRun(spec, w, func(event sdk.RunEvent) {
		switch x := event.(type) {
		case sdk.Completions:
			r.completions = append(r.completions, x...)
		case sdk.PassRecord:
			r.passes = append(r.passes, x)
		case sdk.Steps:
			r.steps = append(r.steps, x...)
		}
	})
	if started != nil {
		started(run)
	}
	r.err = e.Run(ctx, run)
	finished, err := run.Finish()
	if r.err == nil {
		r.err = err
	}
	r.finished = finished
	return r
}

// durations are the distances of the steps' ends.
func durations(steps sdk.Steps) []int64 {
	var all []int64
	for i := 1; i < len(steps); i++ {
		all = append(all, steps[i].EndNs-steps[i-1].EndNs)
	}
	return all
}
