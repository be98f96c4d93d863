//go:build engines

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
	kit "github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// TestMain makes of this program a host, if it was started as one: its test kills it.
func TestMain(m *testing.M) {
	if plugin := os.Getenv("LLEM_TEST_HOST"); plugin != "" {
		fmt.Fprintln(os.Stderr, hostForEver(plugin))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// These tests start a real SGLang on the CPU. `make test-engines` makes what they
// need and names it in the environment. Those that look at no times run side by
// side: a server's start is one thread.
func fromEnvironment(name string) string {
	value := os.Getenv(name)
	if value == "" {
		panic(name + " is not set: these tests are run by `make test-engines`")
	}
	return value
}

func serverCell() sdk.Cell {
	return sdk.Cell{
		ID: "engine",
		Parameters: sdk.Table{
			"command": []any{fromEnvironment("LLEM_TEST_PYTHON"), "-m", "sglang.launch_server"}, "device": "cpu", "dtype": "bfloat16",
			"max_total_tokens": int64(16384), "sleep_on_idle": true,
			"env": sdk.Table{"SGLANG_USE_CPU_ENGINE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
		},
		Model:    sdk.Model{Path: fromEnvironment("LLEM_TEST_MODEL"), Weights: sdk.WeightsAuto},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true, Sampling: sdk.Sampling{Seed: 1}},
		Load:     sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 4}, Protocol: sdk.ProtocolShape{WindowNs: int64(time.Second)},
	}
}

func build(t *testing.T) string {
	t.Helper()
	plugin := filepath.Join(t.TempDir(), "sglang")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, text)
	}
	return plugin
}

func load(t *testing.T, cell sdk.Cell) (sdk.Backend, sdk.LoadReport, string, error) {
	t.Helper()
	b := kit.Backend(engine)
	t.Cleanup(func() {
		if err := b.Unload(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var stages []sdk.StageKind
	report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: cell, WorkDir: t.TempDir()}, sdk.NewProgress(func(e sdk.StageEvent) {
		if e.Moment == sdk.StageEnd {
			stages = append(stages, e.Kind)
		}
	}))
	return b, report, fmt.Sprint(stages), err
}

func counters(t *testing.T, b sdk.Backend) sdk.Counters {
	t.Helper()
	c, err := b.(sdk.Counting).Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func valueOf(c sdk.Counters, name string) float64 {
	for _, n := range c.Named {
		if n.Name == name {
			return n.Value
		}
	}
	return -1
}

func drive(t *testing.T, b sdk.Backend, spec sdk.RunSpec, work *sdk.Work) (all sdk.Completions, finished sdk.Finished) {
	t.Helper()
	run := sdk.NewRun(spec, work, func(event sdk.RunEvent) {
		if done, ok := event.(sdk.Completions); ok {
			all = append(all, done...)
		}
	})
	err := b.Run(t.Context(), run)
	if err == nil {
		finished, err = run.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	return all, finished
}

// golden are prompts, and the ids that every engine gives for them on the tiny model.
func golden(t testing.TB) (work *sdk.Work, hashes []uint64) {
	t.Helper()
	var cases []struct{ Prompt, IDs []uint32 }
	text, err := os.ReadFile(fromEnvironment("LLEM_TEST_GOLDEN"))
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
	cell := serverCell()
	plugintest.Run(t, []string{build(t)}, plugintest.Options{Cell: &cell})
}

// The same ids as every other engine; the client's counts are the server's, exactly,
// in every loop; and both agree on times. Then the server is killed.
func TestTokensCountsAndTimes(t *testing.T) {
	b, report, stages, err := load(t, serverCell())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"dtype": "bfloat16", "tp_size": int64(1), "device": "cpu", "disable_radix_cache": true, "max_total_tokens": int64(16384),
		"attention_backend": "torch_native", "chunked_prefill_size": int64(4096), "schedule_policy": "fcfs", "enable_torch_compile": false,
	} {
		if report.Resolved[key] != want {
			t.Errorf("%s is %v, read back; want %v", key, report.Resolved[key], want)
		}
	}
	if report.EngineVersion != "0.5.23" || *report.KVCapacityTokens != 16384 || *report.Model.Vocab != 2048 || !strings.Contains(stages, "weights") {
		t.Errorf("report %+v, stages %s", report, stages)
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
		if finished.OutputTokens != output || *after.OutputTokens-*before.OutputTokens != output || *after.PromptTokens-*before.PromptTokens != prompt || *after.EngineSteps <= *before.EngineSteps {
			t.Errorf("%s: %+v; the server counts from %+v to %+v", spec.Loop, finished, before, after)
		}
		var first, gaps, each float64
		for _, c := range done {
			if c.Failed() || c.OutputTokens != work.Items[c.Request].MaxTokens || c.OutputHash == nil || *c.CachedPromptTokens != 0 {
				t.Errorf("request %d: %+v", c.Request, c)
			}
			first += float64(c.FirstNs-c.SentNs) / 1e9
			gaps += float64(c.LastNs-c.FirstNs) / 1e9
			each += float64(c.LastNs-c.FirstNs) / 1e9 / float64(c.OutputTokens-1)
		}
		since := func(name string) float64 { return valueOf(after, name) - valueOf(before, name) }
		servers, between := since("sglang:time_to_first_token_seconds_sum"), since("sglang:inter_token_latency_seconds_sum")
		perToken := since("sglang:request_time_per_output_token_seconds_sum")
		t.Logf("%s: TTFT %.1f ms here, %.1f ms in the server; TPOT %.2f and %.2f ms; time between tokens %.1f and %.1f ms a request", spec.Loop,
			1e3*first/32, 1e3*servers/32, 1e3*each/32, 1e3*perToken/32, 1e3*gaps/32, 1e3*between/32)
		// The server's clock begins when it has read a request, and stops before its
		// answer is written: the client's first token is never earlier. The cores are
		// shared, so only what lies between is held from both sides.
		if first < servers*0.98 || gaps < between*0.7 || gaps > between*1.3 || each < perToken*0.7 || each > perToken*1.3 {
			t.Errorf("%s: the server's own times differ: first %.3f s against %.3f s, between %.3f s against %.3f s, TPOT %.4f s against %.4f s", spec.Loop, first, servers, gaps, between, each, perToken)
		}
	}
	family := familyOf(int(report.Devices[0].PID))
	named(t, family, "sglang::sched")
	killedAtWork(t, b, family, family[0])
}

// killedAtWork: each request is completed, the Run says what happened, and no process
// is left.
func killedAtWork(t *testing.T, b sdk.Backend, family []int, pid int) {
	t.Helper()
	work := &sdk.Work{ExactLengths: true}
	for i := range 64 {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(100 + i), 7, 8}, MaxTokens: 200})
	}
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest}, work, func(sdk.RunEvent) {})
	go func() {
		for run.Heartbeat().Sent < 8 && t.Context().Err() == nil { // the first ones are through
			time.Sleep(time.Millisecond)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}()
	if err := b.Run(t.Context(), run); !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("error %v", err)
	}
	if _, err := run.Finish(); err != nil || run.Heartbeat().Failed == 0 {
		t.Errorf("%+v, error %v", run.Heartbeat(), err)
	}
	if err := b.Unload(t.Context()); err != nil {
		t.Error(err)
	}
	if left := alive(family); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestDeathOfTheScheduler(t *testing.T) {
	t.Parallel()
	b, report, _, err := load(t, serverCell())
	if err != nil {
		t.Fatal(err)
	}
	family := familyOf(int(report.Devices[0].PID))
	killedAtWork(t, b, family, named(t, family, "sglang::sched"))
}

// A host that is killed takes the plugin, the server and its engine with it.
func TestDeathOfTheHost(t *testing.T) {
	t.Parallel()
	killed := exec.Command(os.Args[0])
	killed.Env = append(os.Environ(), "LLEM_TEST_HOST="+build(t), "LLEM_TEST_DIR="+t.TempDir())
	killed.Stderr = os.Stderr
	said, err := killed.StdoutPipe()
	if err == nil {
		err = killed.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(said, new(string)); err != nil {
		t.Fatalf("the host did not say that it runs: %v", err)
	}
	family := familyOf(killed.Process.Pid)
	named(t, family, "sglang::sched")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // killed
	for deadline := time.Now().Add(10 * time.Second); len(alive(family)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("of %v the processes %v are left", family, alive(family))
		}
	}
}

// hostForEver drives the plugin and says so when the first requests are through.
func hostForEver(plugin string) error {
	ctx := context.Background()
	p, err := host.Start(ctx, host.Command{Path: plugin}, host.Options{})
	if err != nil {
		return err
	}
	dir := os.Getenv("LLEM_TEST_DIR")
	if _, err := p.Load(ctx, sdk.LoadRequest{Cell: serverCell(), WorkDir: dir, CacheDir: dir}, nil); err != nil {
		return err
	}
	work := &sdk.Work{ExactLengths: true}
	for i := range 5000 {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(i % 1900), 7, 8}, MaxTokens: 200})
	}
	prepared, err := p.Prepare(ctx, work)
	if err != nil {
		return err
	}
	said := false
	_, err = p.Run(ctx, sdk.RunSpec{WorkID: prepared.WorkID, Loop: sdk.LoopClosed, Concurrency: 4, Record: sdk.RecordRequest, HeartbeatMs: 100}, func(event sdk.RunEvent) error {
		if beat, ok := event.(sdk.Heartbeat); ok && beat.Sent > 4 && !said {
			said = true
			fmt.Println("runs")
		}
		return nil
	})
	return err
}

// Each flag of the table is one of this version's.
func TestFlagsAreTheServers(t *testing.T) {
	t.Parallel()
	text, err := exec.Command(fromEnvironment("LLEM_TEST_PYTHON"), "-m", "sglang.launch_server", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, flag := range regexp.MustCompile(`--[a-z][a-z0-9-]+`).FindAllString(string(text), -1) {
		known[flag] = true
	}
	flags := 0
	for _, p := range parameters {
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
		"a value": {func(c *sdk.Cell) { c.Parameters["kv_cache_dtype"] = "fp3" }, sdk.UnsupportedParameter, "kv_cache_dtype", "fp3"},
		"a model": {func(c *sdk.Cell) { c.Model.Path = "/no/such/model" }, sdk.ModelMissing, "model.id", "/no/such/model"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cell := serverCell()
			c.change(&cell)
			_, _, _, err := load(t, cell)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != c.code || e.KeyPath != c.key || !strings.Contains(e.Message, c.says) {
				t.Errorf("error %+v", err)
			}
		})
	}
}

// familyOf is a process and all below it.
func familyOf(pid int) []int {
	all := []int{pid}
	text, _ := exec.Command("ps", "-o", "pid=", "--ppid", fmt.Sprint(pid)).Output()
	for _, word := range strings.Fields(string(text)) {
		var child int
		if _, err := fmt.Sscan(word, &child); err == nil && len(alive([]int{child})) > 0 {
			all = append(all, familyOf(child)...)
		}
	}
	return all
}

func named(t *testing.T, family []int, prefix string) int {
	t.Helper()
	for _, pid := range family {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); strings.HasPrefix(string(name), prefix) {
			return pid
		}
	}
	t.Fatalf("no %s among %v", prefix, family)
	return 0
}

// alive are those that are there and no zombies.
func alive(pids []int) (left []int) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, found := strings.Cut(string(text), ") "); err == nil && found && state[0] != 'Z' {
			left = append(left, pid)
		}
	}
	return left
}
