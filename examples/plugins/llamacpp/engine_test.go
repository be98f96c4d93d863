//go:build engines

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// These tests start llama.cpp's own server. `make test-engines` makes what they
// need and names it in the environment.
func fromEnvironment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: these tests are run by `make test-engines`", name)
	}
	return value
}

// serverCell is a cell on the tiny model.
func serverCell(t testing.TB, loop sdk.Loop) sdk.Cell {
	return sdk.Cell{
		ID: "engine",
		Parameters: sdk.Table{
			"command":  []any{fromEnvironment(t, "LLEM_TEST_PYTHON"), fromEnvironment(t, "LLEM_TEST_SERVER")},
			"parallel": int64(4), "ctx_size": int64(8192), "threads": int64(1),
		},
		Model:    sdk.Model{Path: fromEnvironment(t, "LLEM_TEST_MODEL"), Weights: sdk.WeightsAuto},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true, Sampling: sdk.Sampling{Seed: 1}},
		Load:     sdk.LoadShape{Loop: loop, Concurrency: 4}, Protocol: sdk.ProtocolShape{WindowNs: int64(time.Second)},
	}
}

// loadServer is a backend in this process, and the report of its load.
func loadServer(t *testing.T, cell sdk.Cell) (sdk.Backend, sdk.LoadReport) {
	t.Helper()
	b := kit.Backend(engine)
	t.Cleanup(func() {
		if err := b.Unload(context.Background()); err != nil {
			t.Error(err)
		}
	})
	report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if err != nil {
		t.Fatal(err)
	}
	return b, report
}

func counters(t *testing.T, b sdk.Backend) sdk.Counters {
	t.Helper()
	c, err := b.(sdk.Counting).Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden are prompts, and the ids that every engine gives for them on the tiny model.
func golden(t testing.TB) (work *sdk.Work, hashes []uint64) {
	t.Helper()
	var cases []struct{ Prompt, IDs []uint32 }
	text, err := os.ReadFile(fromEnvironment(t, "LLEM_TEST_GOLDEN"))
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) < 4 {
		t.Fatalf("%d prompts, error %v", len(cases), err)
	}
	work = &sdk.Work{ExactLengths: true}
	for _, c := range cases {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: c.Prompt, MaxTokens: uint32(len(c.IDs))})
		hashes = append(hashes, sdk.OutputHash(c.IDs))
	}
	return work, hashes
}

func TestConformance(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "llamacpp")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, text)
	}
	for _, loop := range []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed} {
		t.Run(string(loop), func(t *testing.T) {
			cell := serverCell(t, loop)
			plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &cell})
		})
	}
}

// Every engine gives these ids for the tiny model.
func TestTokensOfAllEngines(t *testing.T) {
	b, report := loadServer(t, serverCell(t, sdk.LoopClosed))
	if report.Resolved["parallel"] != int64(4) || *report.KVCapacityTokens != 8192 || report.Model.WeightType != "F16" {
		t.Errorf("read back: %+v", report)
	}
	work, want := golden(t)
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordToken}, work, func(event sdk.RunEvent) {
		for _, c := range completions(event) {
			if c.OutputHash == nil || *c.OutputHash != want[c.Request] || len(c.Chunks) != int(work.Items[c.Request].MaxTokens) {
				t.Errorf("other ids or chunks for prompt %d: %+v", c.Request, c)
			}
		}
	})
	if err := b.Run(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if finished, err := run.Finish(); err != nil || finished.Completions != int64(len(want)) {
		t.Errorf("%+v, error %v", finished, err)
	}
}

func completions(event sdk.RunEvent) sdk.Completions {
	done, _ := event.(sdk.Completions)
	return done
}

// What the client counts is what the server counted, exactly, in both loops.
func TestCountsEqualTheServers(t *testing.T) {
	b, _ := loadServer(t, serverCell(t, sdk.LoopClosed))
	work := &sdk.Work{ExactLengths: true}
	prompt := int64(0)
	for i := range 40 {
		item := sdk.WorkItem{MaxTokens: uint32(1 + i%7)}
		for j := range 3 + i {
			item.TokenIDs = append(item.TokenIDs, uint32(100+(37*i+53*j)%1900))
		}
		prompt += int64(len(item.TokenIDs))
		work.Items = append(work.Items, item)
	}
	for _, spec := range []sdk.RunSpec{
		{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordChunk},
		{Loop: sdk.LoopBatch, RequestsPerPass: 8, Record: sdk.RecordChunk},
	} {
		before := counters(t, b)
		run := sdk.NewRun(spec, work, func(event sdk.RunEvent) {
			for _, c := range completions(event) {
				if want := work.Items[c.Request].MaxTokens; c.Failed() || c.OutputTokens != want || c.FinishReason != "length" {
					t.Errorf("request %d: %+v, want %d tokens", c.Request, c, want)
				}
			}
		})
		if err := b.Run(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		finished, err := run.Finish()
		after := counters(t, b)
		if err != nil || finished.OutputTokens != *after.OutputTokens-*before.OutputTokens || prompt != *after.PromptTokens-*before.PromptTokens ||
			*after.CachedPromptTokens != 0 || *after.EngineSteps <= *before.EngineSteps {
			t.Errorf("%s: %+v, error %v; the server counts from %+v to %+v", spec.Loop, finished, err, before, after)
		}
	}
}

// A server that is killed at work: each request is completed, the Run says what
// happened, and nothing is left.
func TestAServerThatIsKilled(t *testing.T) {
	b, report := loadServer(t, serverCell(t, sdk.LoopClosed))
	work := &sdk.Work{ExactLengths: true}
	for i := range 64 {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(100 + i), 7, 8}, MaxTokens: 300})
	}
	pid := int(report.Devices[0].PID)
	failed := 0
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work, func(event sdk.RunEvent) {
		for _, c := range completions(event) {
			if c.Failed() {
				failed++
			}
		}
	})
	go func() {
		for run.Heartbeat().Sent < 8 && t.Context().Err() == nil { // the first ones are through
			time.Sleep(time.Millisecond)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}()
	err := b.Run(t.Context(), run)
	if !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("error %v", err)
	}
	if _, err := run.Finish(); err != nil || failed == 0 {
		t.Errorf("%d requests failed, error %v", failed, err)
	}
	if err := b.Unload(t.Context()); err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		t.Errorf("Unload: %v; the server: %v", err, syscall.Kill(pid, 0))
	}
}

func TestBadCells(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*sdk.Cell)
		code      sdk.Code
		key, says string
	}{
		"flag":    {func(c *sdk.Cell) { c.Parameters["flash_attn"] = "on" }, sdk.UnsupportedParameter, "flash_attn", "invalid argument: -fa"},
		"extra":   {func(c *sdk.Cell) { c.Parameters["extra_args"] = []any{"--no-such=1"} }, sdk.UnsupportedParameter, "extra_args", "invalid argument: --no-such"},
		"model":   {func(c *sdk.Cell) { c.Model.Path = fromEnvironment(t, "LLEM_TEST_SERVER") }, sdk.ModelMissing, "model.path", "failed to load model"},
		"program": {func(c *sdk.Cell) { c.Parameters["command"] = []any{"/no/such/llama-server"} }, sdk.EngineMissing, "", "/no/such/llama-server"},
	} {
		t.Run(name, func(t *testing.T) {
			cell := serverCell(t, sdk.LoopClosed)
			c.change(&cell)
			b := kit.Backend(engine)
			_, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != c.code || e.KeyPath != c.key || !strings.Contains(e.Message, c.says) {
				t.Errorf("error %+v", err)
			}
			if err := b.Unload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
