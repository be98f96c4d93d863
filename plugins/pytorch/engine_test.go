//go:build engines

package main

import (
	"context"
	"os"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// python is the interpreter with torch, and model the directory of the tiny
// model, that `make test-engines` makes.
func fromEnvironment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: these tests are run by `make test-engines`", name)
	}
	return value
}

// engineCell is a cell on the tiny model, with the given parameters.
func engineCell(t testing.TB, parameters sdk.Table) sdk.Cell {
	t.Helper()
	c := cell(sdk.Table{"python": fromEnvironment(t, "LLEM_TEST_PYTHON"), "num_threads": int64(1)})
	for key, value := range parameters {
		c.Parameters[key] = value
	}
	c.Model = sdk.Model{Path: fromEnvironment(t, "LLEM_TEST_MODEL"), Weights: sdk.WeightsAuto}
	return c
}

// loadEngine is a backend in this process.
func loadEngine(t *testing.T, c sdk.Cell) (*backend, sdk.LoadReport) {
	t.Helper()
	b := &backend{}
	t.Cleanup(func() {
		for range 2 { // a second Unload does nothing
			if err := b.Unload(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: c, WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if err != nil {
		t.Fatal(err)
	}
	return b, report
}

// recorded is what a Run brought.
type recorded struct {
	completions map[uint32]sdk.Completion
	passes      []sdk.PassRecord
	steps       sdk.Steps
}

func drive(t *testing.T, b *backend, spec sdk.RunSpec, work *sdk.Work) recorded {
	t.Helper()
	got := recorded{completions: map[uint32]sdk.Completion{}}
	run := sdk.NewRun(spec, work, func(event sdk.RunEvent) {
		switch e := event.(type) {
		case sdk.Completions:
			for _, c := range e {
				got.completions[c.Request] = c
			}
		case sdk.PassRecord:
			got.passes = append(got.passes, e)
		case sdk.Steps:
			got.steps = append(got.steps, e...)
		}
	})
	if err := b.Run(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	return got
}

// workOf is one request for each prompt, of exact lengths.
func workOf(tokens uint32, prompts ...[]uint32) *sdk.Work {
	work := &sdk.Work{ExactLengths: true}
	for _, prompt := range prompts {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: prompt, MaxTokens: tokens})
	}
	return work
}
