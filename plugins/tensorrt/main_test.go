package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

// The test binary is also the double of trtllm-serve, a rank of it, and a Python
// with TensorRT-LLM in it.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("DOUBLE_RANK") != "":
		select {}
	case len(os.Args) > 1 && os.Args[1] == "serve":
		os.Exit(serveDouble(os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == "double-python":
		os.Exit(doublePython(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// doubleCell is one for the double with the given manners.
func doubleCell(t testing.TB, manners string, more sdk.Table) sdk.Cell {
	parameters := sdk.Table{"executable": testBinary(t), "env": sdk.Table{"DOUBLE": manners}}
	for key, value := range more {
		parameters[key] = value
	}
	return sdk.Cell{
		ID: "double", Parameters: parameters, Model: sdk.Model{ID: "org/model"},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true, Sampling: sdk.Sampling{Seed: 1}},
		Load:     sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 4}, Protocol: sdk.ProtocolShape{WindowNs: 1e9},
	}
}

// loaded is a load that a test watches.
type loaded struct {
	sdk.Backend
	report sdk.LoadReport
	stages []sdk.StageEvent
	dir    string
	err    error
}

func load(t *testing.T, cell sdk.Cell, cache string) *loaded {
	t.Helper()
	l := &loaded{Backend: openaiserver.Backend(engine()), dir: t.TempDir()}
	t.Cleanup(func() {
		if err := l.Unload(context.Background()); err != nil {
			t.Error(err)
		}
	})
	progress := sdk.NewProgress(func(e sdk.StageEvent) { l.stages = append(l.stages, e) })
	l.report, l.err = l.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: l.dir, CacheDir: cache}, progress)
	return l
}

func mustLoad(t *testing.T, cell sdk.Cell) *loaded {
	t.Helper()
	l := load(t, cell, t.TempDir())
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l
}

func (l *loaded) counters(t *testing.T) sdk.Counters {
	t.Helper()
	c, err := l.Backend.(sdk.Counting).Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// work is requests that have the given lengths of output.
func work(n int, outputs uint32) *sdk.Work {
	w := &sdk.Work{ExactLengths: true}
	for i := range n {
		w.Items = append(w.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(100 * i), 1, 2}, MaxTokens: outputs})
	}
	return w
}

// modelDir is a directory that looks like a model's.
func modelDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.json": `{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "torch_dtype": "bfloat16"}`, "model.safetensors": "weights",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
