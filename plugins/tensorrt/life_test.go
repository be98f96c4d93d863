package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "tensorrt")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, text)
	}
	cell := doubleCell(t, "", nil)
	plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &cell})
}

// What is told to the server, what it says of itself, and in which stages it starts.
func TestALoad(t *testing.T) {
	cell := doubleCell(t, "", sdk.Table{
		"max_batch_size": int64(64), "kv_cache_dtype": "fp8", "free_gpu_memory_fraction": 0.8, "cuda_graphs": false, "chunked_prefill": true,
		"overlap_scheduler": false, "extra": sdk.Table{"kv_cache_config": sdk.Table{"host_cache_size": int64(0)}, "print_iter_log": true},
	})
	cell.Model = sdk.Model{Path: modelDir(t), Weights: sdk.WeightsDummy}
	l := mustLoad(t, cell)
	text, err := os.ReadFile(filepath.Join(l.dir, optionsFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `cuda_graph_config: null
disable_overlap_scheduler: true
enable_chunked_prefill: true
enable_iter_perf_stats: true
iter_stats_max_iterations: 1000000
kv_cache_config:
  "dtype": "fp8"
  enable_block_reuse: false
  free_gpu_memory_fraction: 0.8
  host_cache_size: 0
load_format: "dummy"
print_iter_log: true
`
	if string(text) != want {
		t.Errorf("the file has\n%s\nwant\n%s", text, want)
	}
	argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", l.report.Devices[0].PID))
	line := strings.ReplaceAll(string(argv), "\x00", " ")
	if err != nil || !strings.Contains(line, " serve "+cell.Model.Path+" --host 127.0.0.1 --port ") ||
		!strings.HasSuffix(line, " --backend pytorch --max_batch_size 64 --tp_size 1 --pp_size 1 ") {
		t.Errorf("%s, error %v", line, err)
	}
	for key, want := range map[string]any{
		"max_seq_len": int64(2048), "max_num_tokens": int64(8192), "max_batch_size": int64(64), "tokens_per_block": int64(32), "block_reuse": false, "backend": pytorch,
	} {
		if l.report.Resolved[key] != want {
			t.Errorf("%s is %v, read back; want %v", key, l.report.Resolved[key], want)
		}
	}
	if r := l.report; r.EngineVersion != "1.2.1" || *r.KVCapacityTokens != 32768 || *r.Model.Layers != 2 || r.Model.WeightType != "bfloat16" || !r.Model.RandomWeights || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	var stages []string
	for _, s := range l.stages {
		if s.Moment != sdk.StageProgress {
			stages = append(stages, string(s.Kind)+" "+string(s.Moment))
		}
	}
	if got, want := strings.Join(stages, ", "), "start begin, weights begin, weights end, compile begin, compile end, capture begin, capture end, start end"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
}

// A TensorRT engine is built once, as a stage of its own before the server's start,
// and is found again by another load.
func TestAnEngineIsBuiltOnceAndKept(t *testing.T) {
	bin := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(bin, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	script("nvidia-smi", "echo 'NVIDIA H100 80GB HBM3, 9.0'")
	python := script("python3", fmt.Sprintf("exec %q double-python \"$@\"", testBinary(t)))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	cell := doubleCell(t, "", sdk.Table{"backend": tensorrt, "python": python, "max_seq_len": int64(2048), "build_config": sdk.Table{"max_beam_width": int64(1)}})
	delete(cell.Parameters, "executable")
	cell.Model = sdk.Model{Path: modelDir(t)}
	cache := t.TempDir()
	stages := func(l *loaded) (all []string) {
		if l.err != nil {
			t.Fatal(l.err)
		}
		for _, s := range l.stages {
			if s.Moment == sdk.StageBegin && s.Kind != sdk.StageWeights && s.Kind != sdk.StageCompile && s.Kind != sdk.StageCapture {
				all = append(all, string(s.Kind)+": "+s.Message)
			}
		}
		return all
	}
	engines := func() []string {
		list, err := filepath.Glob(filepath.Join(cache, "engines", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	first := load(t, cell, cache)
	if got := stages(first); len(got) != 2 || got[0] != "build: build a TensorRT engine of "+cell.Model.Path || got[1] != "start: start the server" {
		t.Fatalf("stages %q", got)
	}
	kept := engines()
	if len(kept) != 1 || !isEngine(kept[0]) {
		t.Fatalf("engines %q", kept)
	}
	argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", first.report.Devices[0].PID))
	if line := strings.ReplaceAll(string(argv), "\x00", " "); err != nil || !strings.Contains(line, " serve "+kept[0]+" ") || !strings.Contains(line, " --tokenizer "+cell.Model.Path+" ") {
		t.Errorf("%s, error %v", line, err)
	}
	text, err := os.ReadFile(filepath.Join(kept[0], "config.json"))
	for _, want := range []string{`"model": "` + cell.Model.Path, `"max_seq_len": 2048`, `"max_beam_width": 1`, `"NVIDIA H100 80GB HBM3, 9.0"`, `"tensorrt_llm": "1.2.1"`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("it was not built of %s: %s, error %v", want, text, err)
		}
	}
	cell.Parameters["free_gpu_memory_fraction"] = 0.5
	if got := stages(load(t, cell, cache)); len(got) != 2 || !strings.Contains(got[0], "kept from an earlier load") || len(engines()) != 1 {
		t.Errorf("stages %q, engines %q", got, engines())
	}
	// Everything that it depends on makes it another one.
	for _, change := range []func(){
		func() { cell.Parameters["max_seq_len"] = int64(1024) },
		func() { cell.Parameters["kv_cache_dtype"] = "fp8" },
		func() { script("nvidia-smi", "echo 'NVIDIA H200, 9.0'") },
		func() {
			if err := os.WriteFile(filepath.Join(cell.Model.Path, "model.safetensors"), []byte("other weights"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
	} {
		before := len(engines())
		change()
		if got := stages(load(t, cell, cache)); strings.Contains(got[0], "kept") || len(engines()) != before+1 {
			t.Errorf("stages %q, %d engines after %d", got, len(engines()), before)
		}
	}
	// A build that fails leaves nothing.
	before := engines()
	cell.Parameters["env"], cell.Parameters["max_seq_len"] = sdk.Table{"DOUBLE": "build fails"}, int64(512)
	l := load(t, cell, cache)
	if !errors.Is(l.err, sdk.EngineCrashed) || !strings.Contains(l.err.Error(), "the build ended (exit status 1): RuntimeError: Failed to build TensorRT engine") {
		t.Errorf("error %v", l.err)
	}
	if hidden, _ := filepath.Glob(filepath.Join(cache, "engines", ".*")); len(hidden) > 0 || !slices.Equal(engines(), before) {
		t.Errorf("left: %q, %q", hidden, engines())
	}
}

// Each way to fail, told with the line that matters and the study's own key.
func TestBadLoads(t *testing.T) {
	for name, c := range map[string]struct {
		manners   string
		more      sdk.Table
		code      sdk.Code
		key, says string
	}{
		"dies loading":    {"dies loading", nil, sdk.EngineCrashed, "", "the checkpoint has no tensor model.norm.weight"},
		"out of memory":   {"out of memory", nil, sdk.OutOfMemory, "free_gpu_memory_fraction", "insufficient GPU memory"},
		"no GPU":          {"no GPU", nil, sdk.DeviceMissing, "", "No GPU devices found"},
		"hangs":           {"hangs", sdk.Table{"start_timeout_s": int64(1)}, sdk.Timeout, "start_timeout_s", "after 1s"},
		"a refused flag":  {"", sdk.Table{"extra_args": []any{"--no_such_flag"}}, sdk.UnsupportedParameter, "extra_args", "No such option: --no_such_flag"},
		"a refused value": {"", sdk.Table{"kv_cache_dtype": "fp3"}, sdk.UnsupportedParameter, "kv_cache_dtype", "kv_cache_config.dtype: Input should be"},
		"a refused key":   {"", sdk.Table{"extra": sdk.Table{"no_such_key": int64(1)}}, sdk.UnsupportedParameter, "extra", "no_such_key: Extra inputs are not permitted"},
		"no program":      {"", sdk.Table{"executable": "/no/such/trtllm-serve"}, sdk.EngineMissing, "", "/no/such/trtllm-serve"},
	} {
		t.Run(name, func(t *testing.T) {
			l := load(t, doubleCell(t, c.manners, c.more), t.TempDir())
			var e *sdk.Error
			if !errors.As(l.err, &e) || e.Code != c.code || e.KeyPath != c.key || !strings.Contains(e.Message, c.says) {
				t.Errorf("error %+v", l.err)
			}
		})
	}
}

// A server that dies while requests run, or that is killed: each request is
// completed, the Run says why it ended, and no process is left.
func TestDeathsMidStream(t *testing.T) {
	for name, c := range map[string]struct{ manners, says string }{
		"it ends on its own": {"dies mid-stream", "an illegal memory access"},
		"it is killed":       {"", "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustLoad(t, doubleCell(t, c.manners, nil))
			pid := int(l.report.Devices[0].PID)
			family := append([]int{pid}, children(t, pid)...)
			if len(family) < 2 {
				t.Fatalf("the server has no rank: %v", family)
			}
			run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work(16, 500), func(sdk.RunEvent) {})
			if c.manners == "" {
				go func() {
					for run.Heartbeat().Sent < 4 && t.Context().Err() == nil {
						time.Sleep(time.Millisecond)
					}
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}()
			}
			err := l.Run(t.Context(), run)
			if !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
			if _, err := run.Finish(); err != nil || run.Heartbeat().Failed == 0 {
				t.Errorf("%+v, error %v", run.Heartbeat(), err)
			}
			if err := l.Unload(t.Context()); err != nil {
				t.Error(err)
			}
			for _, pid := range family {
				if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(text), ") Z ") {
					t.Errorf("process %d is left: %s", pid, text)
				}
			}
		})
	}
}

// children are those of all threads of a process: the kernel lists them by thread.
func children(t *testing.T, pid int) (all []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for word := range strings.FieldsSeq(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err != nil {
				t.Fatal(err)
			}
			all = append(all, child)
		}
	}
	return all
}
