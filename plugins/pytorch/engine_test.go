//go:build engines

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

// withEnvironment lets the cell's interpreter, and no other, see the variables.
func withEnvironment(t *testing.T, c sdk.Cell, commands ...string) sdk.Cell {
	t.Helper()
	script := "#!/bin/sh\n" + strings.Join(commands, "\n") + "\nexec " + c.Parameters.String("python", "") + ` "$@"` + "\n"
	python := filepath.Join(t.TempDir(), "python")
	// A process that another test forks meanwhile would hold the file open for
	// writing, and what is open for writing cannot be run.
	syscall.ForkLock.RLock()
	err := os.WriteFile(python, []byte(script), 0o700) //nolint:gosec // a program
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	c.Parameters["python"] = python
	return c
}

// binaries is where the plugin is built, once for all tests that need it.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "llem-pytorch-test-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(status)
}

var buildOnce = sync.OnceValues(func() (string, error) {
	plugin := filepath.Join(binaries, "pytorch")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, text)
	}
	return plugin, nil
})

func buildPlugin(t *testing.T) string {
	t.Helper()
	plugin, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return plugin
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
