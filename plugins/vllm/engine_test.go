//go:build engines

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// These tests start a real vLLM on the CPU. `make test-engines` makes what they
// need and names it in the environment. Those that look at no times run side by
// side: a server's start is one thread.
func fromEnvironment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: these tests are run by `make test-engines`", name)
	}
	return value
}

func serverCell(t testing.TB, loop sdk.Loop) sdk.Cell {
	return sdk.Cell{
		ID: "engine",
		Parameters: sdk.Table{
			"python": fromEnvironment(t, "LLEM_TEST_PYTHON"), "dtype": "bfloat16", "max_model_len": int64(2048), "enforce_eager": true,
			"kv_cache_memory_bytes": int64(64 << 20),
			// One import less, and no threads that spin while others compute.
			"env": sdk.Table{"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
		},
		Model:    sdk.Model{Path: fromEnvironment(t, "LLEM_TEST_MODEL"), Weights: sdk.WeightsAuto},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true, Sampling: sdk.Sampling{Seed: 1}},
		Load:     sdk.LoadShape{Loop: loop, Concurrency: 4}, Protocol: sdk.ProtocolShape{WindowNs: int64(time.Second)},
	}
}

func load(t *testing.T, cell sdk.Cell) (sdk.Backend, sdk.LoadReport, []sdk.StageEvent, error) {
	t.Helper()
	b := openaiserver.Backend(engine())
	t.Cleanup(func() {
		if err := b.Unload(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var stages []sdk.StageEvent
	report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: t.TempDir()}, sdk.NewProgress(func(e sdk.StageEvent) { stages = append(stages, e) }))
	return b, report, stages, err
}

func mustLoad(t *testing.T, cell sdk.Cell) (sdk.Backend, sdk.LoadReport, []sdk.StageEvent) {
	t.Helper()
	b, report, stages, err := load(t, cell)
	if err != nil {
		t.Fatal(err)
	}
	return b, report, stages
}

func counters(t *testing.T, b sdk.Backend) sdk.Counters {
	t.Helper()
	c, err := b.(sdk.Counting).Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func named(c sdk.Counters, name string) float64 {
	for _, n := range c.Named {
		if n.Name == name {
			return n.Value
		}
	}
	return -1
}

// drive runs the work and returns the completions.
func drive(t *testing.T, b sdk.Backend, spec sdk.RunSpec, work *sdk.Work) (all sdk.Completions, finished sdk.Finished) {
	t.Helper()
	run := sdk.NewRun(spec, work, func(event sdk.RunEvent) {
		if done, ok := event.(sdk.Completions); ok {
			all = append(all, done...)
		}
	})
	if err := b.Run(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	finished, err := run.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return all, finished
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
	plugin := filepath.Join(t.TempDir(), "vllm")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, text)
	}
	cell := serverCell(t, sdk.LoopClosed)
	plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &cell})
}

// The same ids as every other engine; the client's counts are the server's,
// exactly, in every loop; and both agree on times.
func TestTokensCountsAndTimes(t *testing.T) {
	b, report, stages := mustLoad(t, serverCell(t, sdk.LoopClosed))
	for key, want := range map[string]any{
		"dtype": "bfloat16", "max_model_len": int64(2048), "enforce_eager": true, "prefix_caching": false, "chunked_prefill": true,
		"kv_cache_memory_bytes": int64(64 << 20), "block_size": int64(128), "device": "cpu", "tensor_parallel_size": int64(1),
	} {
		if report.Resolved[key] != want {
			t.Errorf("%s is %v, read back; want %v", key, report.Resolved[key], want)
		}
	}
	if report.EngineVersion != "0.32.0" || *report.KVCapacityTokens != 21760 || *report.Model.Vocab != 2048 || report.Devices[0].Kind != "cpu" {
		t.Errorf("report %+v", report)
	}
	kinds := fmt.Sprint(stages)
	if !strings.Contains(kinds, string(sdk.StageStart)) || !strings.Contains(kinds, string(sdk.StageWeights)) || len(stages)%2 != 0 && !strings.Contains(kinds, "progress") {
		t.Errorf("stages %s", kinds)
	}

	prompts, want := golden(t)
	done, _ := drive(t, b, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordToken}, prompts)
	if len(done) != len(want) {
		t.Errorf("%d prompts of %d were answered", len(done), len(want))
	}
	for _, c := range done {
		if c.OutputHash == nil || *c.OutputHash != want[c.Request] {
			t.Errorf("other ids for prompt %d: %+v", c.Request, c)
		}
	}

	work := &sdk.Work{ExactLengths: true}
	prompt, output := int64(0), int64(0)
	for i := range 32 {
		item := sdk.WorkItem{MaxTokens: uint32(4 + i%9), ArrivalOffsetNs: int64(i) * 20e6}
		for j := range 16 + i {
			item.TokenIDs = append(item.TokenIDs, uint32(100+(37*i+53*j)%1900))
		}
		prompt, output = prompt+int64(len(item.TokenIDs)), output+int64(item.MaxTokens)
		work.Items = append(work.Items, item)
	}
	for _, spec := range []sdk.RunSpec{
		{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordChunk},
		{Loop: sdk.LoopBatch, RequestsPerPass: 8, Record: sdk.RecordChunk},
		{Loop: sdk.LoopOpen, Record: sdk.RecordChunk},
	} {
		before := counters(t, b)
		done, finished := drive(t, b, spec, work)
		after := counters(t, b)
		if finished.OutputTokens != output || *after.OutputTokens-*before.OutputTokens != output || *after.PromptTokens-*before.PromptTokens != prompt ||
			*after.CachedPromptTokens != 0 || *after.EngineSteps <= *before.EngineSteps || named(after, "vllm:request_success_total")-named(before, "vllm:request_success_total") != 32 {
			t.Errorf("%s: %+v; the server counts from %+v to %+v", spec.Loop, finished, before, after)
		}
		var first, gaps, each float64
		for _, c := range done {
			if c.Failed() || c.OutputTokens != work.Items[c.Request].MaxTokens || c.OutputHash == nil {
				t.Errorf("request %d: %+v", c.Request, c)
			}
			first += float64(c.FirstNs-c.SentNs) / 1e9
			gaps += float64(c.LastNs-c.FirstNs) / 1e9
			each += float64(c.LastNs-c.FirstNs) / 1e9 / float64(c.OutputTokens-1)
		}
		since := func(name string) float64 { return named(after, name) - named(before, name) }
		servers, between := since("vllm:time_to_first_token_seconds_sum"), since("vllm:inter_token_latency_seconds_sum")
		perToken := since("vllm:request_time_per_output_token_seconds_sum")
		t.Logf("%s: TTFT %.1f ms here, %.1f ms in the server; TPOT %.2f and %.2f ms; time between tokens %.1f and %.1f ms a request", spec.Loop,
			1e3*first/32, 1e3*servers/32, 1e3*each/32, 1e3*perToken/32, 1e3*gaps/32, 1e3*between/32)
		// The server stamps a request's arrival late, and its answers pass
		// through an event loop: the client's first token is never earlier. The
		// cores are shared, so only the sums of what lies between are held tight.
		if first < servers*0.98 || gaps < between*0.7 || gaps > between*1.3 || each < perToken*0.7 || each > perToken*1.3 {
			t.Errorf("%s: the server's own times differ: first %.3f s against %.3f s, between %.3f s against %.3f s, TPOT %.4f s against %.4f s", spec.Loop, first, servers, gaps, between, each, perToken)
		}
	}
}

// Whatever is killed while requests run, and whenever: each is completed, those whose
// end did not come have failed, the Run says so, and no process is left. An API server
// that is killed leaves its engine, and one that is told to end waits for its clients.
// The conformance suite kills the host.
func TestDeaths(t *testing.T) {
	t.Parallel()
	for _, drill := range []struct {
		victim string
		signal syscall.Signal
	}{{"the API server", syscall.SIGKILL}, {"the engine", syscall.SIGKILL}, {"the API server", syscall.SIGTERM}, {"the engine", syscall.SIGTERM}} {
		t.Run(fmt.Sprintf("%s, %v", drill.victim, drill.signal), func(t *testing.T) {
			t.Parallel()
			b, report, _ := mustLoad(t, serverCell(t, sdk.LoopClosed))
			api := int(report.Devices[0].PID)
			family := append([]int{api}, descendants(api)...)
			pid := api
			if drill.victim == "the engine" {
				pid = engineOf(t, family)
			}
			work := &sdk.Work{ExactLengths: true}
			for i := range 64 {
				work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(100 + i), 7, 8}, MaxTokens: 200})
			}
			failed := map[string]int{}
			run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work, func(event sdk.RunEvent) {
				done, _ := event.(sdk.Completions)
				for _, c := range done {
					if c.Failed() {
						code, _, _ := strings.Cut(c.Error, ":")
						failed[code]++
					} else if c.OutputTokens != 200 || c.FinishReason != "length" {
						t.Errorf("taken for done: %+v", c)
					}
				}
			})
			sent, later := 5+rand.Int64N(40), rand.N(300*time.Millisecond)
			t.Logf("%v, %v after request %d was sent", drill.signal, later, sent)
			go func() {
				for run.Heartbeat().Sent < sent && t.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(later) // any moment of a stream
				_ = syscall.Kill(pid, drill.signal)
			}()
			from := time.Now()
			err := b.Run(t.Context(), run)
			if !errors.Is(err, sdk.EngineCrashed) {
				t.Errorf("error %v", err)
			}
			after := time.Since(from)
			if _, err := run.Finish(); err != nil || run.Heartbeat().Failed == 0 {
				t.Errorf("%+v, error %v", run.Heartbeat(), err)
			}
			t.Logf("after %v: %v; failed %v", after, err, failed)
			if err := b.Unload(t.Context()); err != nil {
				t.Error(err)
			}
			for _, pid := range family {
				if state := stateOf(pid); state != "" && state != "Z" {
					t.Errorf("process %d is in state %s", pid, state)
				}
			}
		})
	}
}

// Each flag of the table is one of this version's.
func TestFlagsAreTheServers(t *testing.T) {
	t.Parallel()
	help := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "-m", "vllm.entrypoints.cli.main", "serve", "--help=all")
	text, err := help.Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, flag := range regexp.MustCompile(`--[a-z][a-z0-9-]+`).FindAllString(string(text), -1) {
		known[flag] = true
	}
	flags := 0
	for _, p := range parameters() {
		for _, flag := range p.Flags() {
			if flags++; !known[flag] {
				t.Errorf("%s: this version has no %s", p.Key, flag)
			}
		}
	}
	if flags < 25 {
		t.Errorf("%d flags were looked up", flags)
	}
}

func TestBadCells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change    func(*sdk.Cell)
		code      sdk.Code
		key, says string
	}{
		"a value the engine rejects": {func(c *sdk.Cell) { c.Parameters["kv_cache_dtype"] = "fp3" }, sdk.UnsupportedParameter, "kv_cache_dtype", "fp3"},
		"an unknown argument":        {func(c *sdk.Cell) { c.Parameters["extra_args"] = []any{"--no-such-flag"} }, sdk.UnsupportedParameter, "extra_args", "--no-such-flag"},
		"too long a context":         {func(c *sdk.Cell) { c.Parameters["max_model_len"] = int64(1 << 20) }, sdk.UnsupportedParameter, "max_model_len", "2048"},
		"too small a cache":          {func(c *sdk.Cell) { c.Parameters["kv_cache_memory_bytes"] = int64(1 << 20) }, sdk.OutOfMemory, "max_model_len", "KV cache"},
		// Its heads are too narrow for the kernels: it starts, says that it is
		// healthy, and dies at the first request.
		"a model that kills the engine": {func(c *sdk.Cell) { c.Model.Path = fromEnvironment(t, "LLEM_TEST_NARROW_MODEL") }, sdk.EngineCrashed, "", "head"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cell := serverCell(t, sdk.LoopClosed)
			c.change(&cell)
			_, _, _, err := load(t, cell)
			t.Log(err)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != c.code || e.KeyPath != c.key || !strings.Contains(e.Message, c.says) {
				t.Errorf("error %+v", err)
			}
		})
	}
}

// descendants are the pids below a process.
func descendants(pid int) (all []int) {
	text, _ := exec.Command("ps", "-o", "pid=", "--ppid", fmt.Sprint(pid)).Output()
	for _, word := range strings.Fields(string(text)) {
		var child int
		if _, err := fmt.Sscan(word, &child); err == nil && stateOf(child) != "" {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}

func engineOf(t *testing.T, family []int) int {
	t.Helper()
	for _, pid := range family {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(name), "VLLM::EngineCor") {
			return pid
		}
	}
	t.Fatalf("no engine among %v", family)
	return 0
}

// stateOf is the kernel's letter for a process, "" if there is none.
func stateOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return after[:1]
}
