//go:build engines

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// splitCell is a cell on the tiny model, split over two workers.
func splitCell(t testing.TB, parameters sdk.Table) sdk.Cell {
	t.Helper()
	c := engineCell(t, parameters)
	for key, value := range split(sdk.Table{"device": "cpu"}) {
		c.Parameters[key] = value
	}
	return c
}

// Two ranks give the tokens of a plain script in one process, each holds its part
// of the model, and an abort, which comes to them at different steps, lets both
// live on. When one of them dies, all are ended in bounded time.
func TestRanks(t *testing.T) {
	t.Parallel()
	b, report := loadEngine(t, splitCell(t, sdk.Table{"dtype": "float32", "batch_size": int64(4)}))
	pids := b.workers.PIDs()
	if len(report.Warnings) > 0 || report.Resolved["tp_size"] != int64(2) || report.Resolved["tp_plan"] != "auto" {
		t.Errorf("warnings %+v, resolved %+v", report.Warnings, report.Resolved)
	}
	for rank, d := range report.Devices {
		if len(report.Devices) != 2 || int(d.Rank) != rank || int(d.PID) != pids[rank] {
			t.Errorf("devices %+v of the processes %v", report.Devices, pids)
		}
	}
	facts := map[string]string{}
	for _, p := range report.Packages {
		facts[p.Name] = p.Version
	}
	const whole = 2048*256 + 13*256 // the embedding and the norms, in each rank
	if held := fmt.Sprintf("cpu %d", (*report.Model.Parameters+whole)/2); facts["weights by device"] != held || facts["exchanges between ranks"] != "gloo" {
		t.Errorf("%+v; want %q of each", facts, held)
	}
	for _, part := range []string{"Shard(dim=0): lm_head, model.layers.mlp.gate_proj", "Shard(dim=1): model.layers.mlp.down_proj", "whole: model.embed_tokens"} {
		if !strings.Contains(facts["weights by ranks"], part) {
			t.Errorf("%s; want %q", facts["weights by ranks"], part)
		}
	}
	sameTokensAsPlain(t, b)
	for range 3 {
		abortBetweenTwoSteps(t, b)
	}
	sameTokensAsPlain(t, b)
	t.Run("sampling", func(t *testing.T) { sampledOutputs(t, b) })
	counters, err := b.Counters(t.Context())
	if err != nil || named(counters, "peak_memory_bytes") < 100e6 || named(counters, "kv_cache_bytes") < 6*4*32*2*4*(26+24)*4 {
		t.Errorf("counters %+v, error %v", counters, err)
	}
	rankThatDies(t, b, 1)
}

func sameTokensAsPlain(t *testing.T, b *backend) {
	t.Helper()
	const tokens = 24
	requests := prompts(4)
	got := drive(t, b, batchOf4, workOf(tokens, requests...))
	for i, ids := range plain(t, plainCase{DType: "float32", Beams: 1, Prompts: requests, Tokens: tokens})[0] {
		if done := got.completions[uint32(i)]; done.OutputTokens != tokens || *done.OutputHash != sdk.OutputHash(ids) {
			t.Errorf("request %d: %+v; the plain script has %v", i, done, ids)
		}
	}
}

// rankThatDies kills a rank in the middle of a generate.
func rankThatDies(t *testing.T, b *backend, rank int) {
	t.Helper()
	pids := b.workers.PIDs()
	_, done := endless(t, t.Context(), b)
	if err := syscall.Kill(pids[rank], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if want := fmt.Sprintf("worker of rank %d (process %d) ended: signal: killed", rank, pids[rank]); !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("the Run goes on")
	}
	allGone(t, pids)
	if _, err := b.Counters(t.Context()); !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("counters of dead ranks: %v", err)
	}
	if err := b.Unload(t.Context()); err != nil {
		t.Error(err)
	}
}

// ended tells whether a process runs no more. One whose parent died may stay for
// a while as a zombie, until whoever inherits it looks.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// allGone waits until none of the processes runs.
func allGone(t *testing.T, pids []int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, pid := range pids {
		for !ended(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d of %v still runs", pid, pids)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Ranks stop at the same step whenever an abort comes, however fast each is.
func TestRanksStopTogether(t *testing.T) {
	t.Parallel()
	command := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "testdata/agreement.py", "internal/worker/python")
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// Random weights are made in parts, and give the same tokens again; a rank that
// does nothing any more is ended with the others.
func TestRandomWeightsOfRanks(t *testing.T) {
	t.Parallel()
	c := splitCell(t, sdk.Table{"batch_size": int64(4), "cache_implementation": "static"})
	c.Model = sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy}
	b, report := loadEngine(t, c)
	if m := report.Model; !m.RandomWeights || m.WeightType != "bfloat16" || *m.Parameters != 5_475_584 || report.Resolved["cache_implementation"] != "static" {
		t.Errorf("identity %+v, resolved %+v", m, report.Resolved)
	}
	first := drive(t, b, batchOf4, workOf(8, prompts(4)...))
	again := drive(t, b, batchOf4, workOf(8, prompts(4)...))
	for i, c := range first.completions {
		if *c.OutputHash != *again.completions[i].OutputHash {
			t.Errorf("request %d has another output the second time", i)
		}
	}
	pids := b.workers.PIDs()
	stall(t, b, pids[1])
	allGone(t, pids)
}

// A request that ends by itself ends in all ranks.
func TestNaturalLengthsOfRanks(t *testing.T) {
	t.Parallel()
	c := splitCell(t, sdk.Table{"dtype": "float32"})
	c.Model.Path = naturalModel(t)
	b, _ := loadEngine(t, c)
	work := workOf(6, []uint32{45, 74, 81, 81, 84})
	work.ExactLengths = false
	spec := batchOf4
	spec.RequestsPerPass = 1
	got := drive(t, b, spec, work).completions[0]
	if got.FinishReason != "stop" || *got.OutputHash != sdk.OutputHash([]uint32{1419, 1742, 726}) {
		t.Errorf("%+v", got)
	}
	pids := b.workers.PIDs()
	if err := b.Unload(t.Context()); err != nil {
		t.Error(err)
	}
	allGone(t, pids)
}

func TestConformanceOfRanks(t *testing.T) {
	t.Parallel()
	plugin := buildPlugin(t)
	c := splitCell(t, sdk.Table{"batch_size": int64(2), "dtype": "float32", "batching": "length_sorted"})
	plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &c})
}

// hostOfRanks makes this test's binary the process that holds the ranks, for a
// test that kills it.
const hostOfRanks = "LLEM_TEST_HOST_OF_RANKS"

// When the process that holds them is killed, no rank is left.
func TestTheHostOfRanksIsKilled(t *testing.T) {
	if os.Getenv(hostOfRanks) != "" {
		b, _ := loadEngine(t, splitCell(t, sdk.Table{"batch_size": int64(4)}))
		_, done := endless(t, t.Context(), b)
		if err := json.NewEncoder(os.Stdout).Encode(b.workers.PIDs()); err != nil {
			t.Fatal(err)
		}
		t.Fatal(<-done)
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, "-test.run=^TestTheHostOfRanksIsKilled$")
	command.Env = append(os.Environ(), hostOfRanks+"=1")
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(output); len(pids) == 0 && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &pids) // other lines are those of go test
	}
	if err := command.Process.Kill(); err != nil || len(pids) != 2 {
		t.Fatalf("processes %v, error %v", pids, err)
	}
	_ = command.Wait() // it was killed
	allGone(t, pids)
}
