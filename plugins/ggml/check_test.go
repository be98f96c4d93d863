package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/sdk"
)

// cell is one that runs, with the given parameters.
func cell(parameters sdk.Table) sdk.Cell {
	return sdk.Cell{
		ID: "c", Parameters: parameters,
		Model:    sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true},
		Load:     sdk.LoadShape{Loop: sdk.LoopBatch},
	}
}

// modelFile writes a model as a user might have it.
func modelFile(t *testing.T, w dummy.WeightType) string {
	t.Helper()
	shape, err := dummy.ByID("llem/random-tiny")
	if err != nil {
		t.Fatal(err)
	}
	file, err := dummy.Ensure(t.TempDir(), shape, w, 7)
	if err != nil {
		t.Fatal(err)
	}
	return file.Path
}

func check(t *testing.T, c sdk.Cell, depth sdk.Depth) sdk.CellCheck {
	t.Helper()
	checks, err := (&backend{}).Check(t.Context(), []sdk.Cell{c}, depth)
	if err != nil || len(checks) != 1 {
		t.Fatal(checks, err)
	}
	return checks[0]
}

func TestACellThatRuns(t *testing.T) {
	for _, depth := range []sdk.Depth{sdk.DepthStatic, sdk.DepthEnvironment} {
		got := check(t, cell(sdk.Table{"batch_size": int64(2), "weight_type": "q8_0"}), depth)
		if len(got.Diagnostics) > 0 || got.MaxCancelMs < 500 || got.MaxCancelMs > 2000 || got.Edge != sdk.EdgeQuiesced || len(got.Loops) != 2 {
			t.Errorf("%s: %+v", depth, got)
		}
		if m := got.Memory; m == nil || *m.KVBytesPerToken != 2*2*2*16*2 || *m.WeightsBytes < 100_000 || *m.WeightsBytes > 200_000 {
			t.Errorf("%s: memory %+v", depth, m)
		}
	}
}

func TestWhatIsWrongWithACell(t *testing.T) {
	file := modelFile(t, dummy.Q8_0)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	truncated := filepath.Join(t.TempDir(), "truncated.gguf")
	if err := os.WriteFile(truncated, whole[:len(whole)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	const static, environment = sdk.DepthStatic, sdk.DepthEnvironment
	for _, c := range []struct {
		name     string
		change   func(*sdk.Cell)
		depth    sdk.Depth
		severity sdk.Severity
		key      string
		words    string
	}{
		{"loop", func(c *sdk.Cell) { c.Load.Loop = sdk.LoopOpen }, static, sdk.SeverityError, "load.mode", "open loop"},
		{"shape", func(c *sdk.Cell) { c.Model.ID = "llem/random-huge" }, static, sdk.SeverityError, "model.id", "known are llem/random-tiny"},
		{"no path", func(c *sdk.Cell) { c.Model.Weights = sdk.WeightsAuto }, static, sdk.SeverityError, "model.path", "downloads nothing"},
		{"two models", func(c *sdk.Cell) { c.Model.Path = file }, static, sdk.SeverityError, "model.path", "not read from a file"},
		{"model's context", func(c *sdk.Cell) { c.Workload.MaxInputTokens = 5000 }, static, sdk.SeverityError, "context", "made for 4096"},
		{"context", func(c *sdk.Cell) { c.Parameters["context"] = int64(11) }, static, sdk.SeverityError, "context", "raise it to 12"},
		{"KV type", func(c *sdk.Cell) { c.Model.ID, c.Parameters["kv_type"] = "llem/random-small", "q8_0" }, static, sdk.SeverityError, "kv_type", "flash attention"},
		{"head width", func(c *sdk.Cell) { c.Parameters["kv_type"], c.Parameters["flash_attention"] = "q8_0", true }, static, sdk.SeverityError, "kv_type", "head width 16"},
		{"half a batch", func(c *sdk.Cell) { c.Parameters["batch_size"] = int64(3) }, static, sdk.SeverityWarning, "batch_size", "a batch of 1, not 3"},
		{"queue", func(c *sdk.Cell) { c.Load = sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 8} }, static, sdk.SeverityWarning, "batch_size", "the others wait"},
		{"lengths", func(c *sdk.Cell) { c.Workload.ExactLengths = false }, static, sdk.SeverityWarning, "workload.lengths", "random"},
		{"revision", func(c *sdk.Cell) { c.Model.Revision = "main" }, static, sdk.SeverityDormant, "model.revision", "no revision"},
		{"threads", func(c *sdk.Cell) { c.Parameters["threads"] = int64(512) }, environment, sdk.SeverityWarning, "threads", "spinning"},
		{"absent file", func(c *sdk.Cell) { c.Model = sdk.Model{Path: "/nowhere/m.gguf"} }, environment, sdk.SeverityError, "model.path", "/nowhere/m.gguf"},
		{"truncated file", func(c *sdk.Cell) { c.Model = sdk.Model{Path: truncated} }, environment, sdk.SeverityError, "model.path", "truncated.gguf"},
		{"file", func(c *sdk.Cell) { c.Model = sdk.Model{Path: file} }, environment, "", "", ""},
		{"file's type", func(c *sdk.Cell) { c.Model = sdk.Model{Path: file}; c.Parameters["weight_type"] = "q8_0" }, environment, "", "", ""},
		{"other type", func(c *sdk.Cell) { c.Model = sdk.Model{Path: file}; c.Parameters["weight_type"] = "f16" }, environment, sdk.SeverityError, "weight_type", "have the type q8_0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wrong := cell(sdk.Table{})
			c.change(&wrong)
			found := check(t, wrong, c.depth).Diagnostics
			if c.severity == "" {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Severity != c.severity || found[0].KeyPath != c.key || !strings.Contains(found[0].Message+found[0].Advice, c.words) {
				t.Errorf("found %+v; want one %s on %s with %q", found, c.severity, c.key, c.words)
			}
		})
	}
}

// What does not fit the machine is refused, on every machine: its memory is
// not read from a cell but from the kernel.
func TestMemoryThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(path, []byte("MemTotal:  9 kB\nMemAvailable:    1024 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bytes, known := availableBytes(path); !known || bytes != 1<<20 {
		t.Errorf("%d bytes, known: %v", bytes, known)
	}
	if _, known := availableBytes(path + "x"); known {
		t.Error("memory is known from no file")
	}
	huge := cell(sdk.Table{"batch_size": int64(512), "context": int64(32768), "kv_type": "f32"})
	huge.Model.ID, huge.Workload.RequestsPerPass = "llem/random-medium", 512
	free, known := availableBytes(memInfoPath)
	if !known {
		t.Fatal("this machine does not tell its memory")
	}
	// 128 GiB of KV cache.
	refused := check(t, huge, sdk.DepthEnvironment).Refused()
	if wanted := free < 128<<30; refused != wanted {
		t.Errorf("128 GiB are refused: %v; %d are free", refused, free)
	}
}
