package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/sdk"
)

// loaded is a backend in this process.
func loaded(t *testing.T, c sdk.Cell) (*backend, sdk.LoadReport) {
	t.Helper()
	b := &backend{}
	report, err := b.Load(t.Context(), sdk.LoadRequest{Cell: c, CacheDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 { // a second Unload does nothing
			if err := b.Unload(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return b, report
}

// recorded is what a Run brought.
type recorded struct {
	completions map[uint32]sdk.Completion
	passes      []sdk.PassRecord
	steps       sdk.Steps
}

func drive(t *testing.T, b *backend, spec sdk.RunSpec, items int) recorded {
	t.Helper()
	work := &sdk.Work{ExactLengths: true}
	for i := range items {
		work.Items = append(work.Items, sdk.WorkItem{TokenIDs: []uint32{uint32(i) + 3, 9, 200, 5, 17}, MaxTokens: uint32(3 + i%2)})
	}
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
	for i, item := range work.Items {
		c := got.completions[uint32(i)]
		if c.OutputTokens != item.MaxTokens || c.PromptTokens != 5 || c.FinishReason != "length" || c.Failed() {
			t.Errorf("request %d: %+v", i, c)
		}
	}
	return got
}

// The end of the prompts belongs to a batch; a pass of several has none.
func TestPassesAreRunInBatches(t *testing.T) {
	hashes := map[int64]map[uint32]uint64{}
	for _, size := range []int64{2, 4, 8} {
		b, _ := loaded(t, cell(sdk.Table{"batch_size": size}))
		got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 4, Record: sdk.RecordToken, RecordSteps: true}, 12)
		if len(got.passes) != 3 {
			t.Fatalf("%d passes", len(got.passes))
		}
		for _, p := range got.passes {
			if single := size >= 4; (p.PrefillEndNs > p.BeginNs && p.PrefillEndNs < p.EndNs) != single || p.Requests != 4 || p.PaddingTokens != 0 {
				t.Errorf("batches of %d: pass %+v", size, p)
			}
		}
		// 4 steps for each batch: the prompts and three more tokens.
		if batches := 12 / min(4, int(size)); len(got.steps) != 4*batches {
			t.Errorf("batches of %d: %d steps for %d batches", size, len(got.steps), batches)
		}
		hashes[size] = map[uint32]uint64{}
		for i, c := range got.completions {
			hashes[size][i] = *c.OutputHash
			if len(c.Chunks) != int(c.OutputTokens) {
				t.Errorf("request %d has %d chunks", i, len(c.Chunks))
			}
			if *c.OutputHash != hashes[2][i] {
				t.Errorf("request %d has another output in batches of %d than of 2", i, size)
			}
		}
	}
}

func TestClosedLoopAndCounters(t *testing.T) {
	b, _ := loaded(t, cell(sdk.Table{"batch_size": int64(3)}))
	drive(t, b, sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: 3, Record: sdk.RecordRequest}, 12)
	c, err := b.Counters(t.Context())
	if err != nil || *c.PromptTokens != 60 || *c.OutputTokens != 42 || *c.ScheduledTokens != 60+42-12 || *c.PaddingTokens != 0 {
		t.Errorf("counters %+v, error %v", c, err)
	}
	if mean := *c.RunningMean; mean <= 2 || mean > 3 {
		t.Errorf("%g sequences on average; 3 were in flight", mean)
	}
}

func TestAUsersFile(t *testing.T) {
	file := modelFile(t, dummy.Q4_0)
	c := cell(sdk.Table{"batch_size": int64(2)})
	c.Model = sdk.Model{Path: file, Weights: sdk.WeightsAuto}
	b, report := loaded(t, c)
	digest, err := dummy.Digest(file)
	if err != nil {
		t.Fatal(err)
	}
	m := report.Model
	if m.RandomWeights || m.ArtifactDigest != "sha256:"+digest || m.WeightType != "q4_0" || m.Quantisation != "q4_0" || *m.Vocab != 320 || *m.KVHeads != 2 {
		t.Errorf("identity %+v", m)
	}
	if !strings.HasPrefix(m.Base, "random weights (llama, ") {
		t.Errorf("base %q does not come from the file", m.Base)
	}
	if report.Resolved["weight_type"] != "q4_0" || report.Resolved["context"] != int64(12) || report.EngineVersion != "v0.24.0" || *report.KVCapacityTokens != 256 {
		t.Errorf("report %+v", report)
	}
	drive(t, b, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 4, Record: sdk.RecordRequest}, 4)
	ids, err := b.Tokenize(t.Context(), []string{"Hi", ""})
	// The begin token, and one for each byte.
	if err != nil || len(ids) != 2 || len(ids[1]) != 1 || len(ids[0]) < 3 {
		t.Errorf("tokens %v, error %v", ids, err)
	}
}

func TestPrecisionsAreOneModel(t *testing.T) {
	base := ""
	for _, w := range dummy.WeightTypes() {
		_, report := loaded(t, cell(sdk.Table{"weight_type": string(w)}))
		m := report.Model
		if base == "" {
			base = m.Base
		}
		if m.Base != base || m.Base == "" || !m.RandomWeights || m.WeightType != string(w) || report.Resolved["weight_type"] != string(w) {
			t.Errorf("%s: identity %+v", w, m)
		}
	}
}

// What Check would have refused, Load refuses too: with a code, and without
// ending the process.
func TestLoadsThatFail(t *testing.T) {
	file := modelFile(t, dummy.F16)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model      sdk.Model
		parameters sdk.Table
		code       sdk.Code
	}{
		"truncated": {sdk.Model{Path: file}, sdk.Table{}, sdk.ModelMissing},
		"absent":    {sdk.Model{Path: file + "x"}, sdk.Table{}, sdk.ModelMissing},
		"unknown":   {sdk.Model{ID: "x", Weights: sdk.WeightsDummy}, sdk.Table{}, sdk.UnsupportedParameter},
		"KV type":   {cell(nil).Model, sdk.Table{"kv_type": "q8_0"}, sdk.UnsupportedParameter},
	} {
		wrong := cell(c.parameters)
		wrong.Model = c.model
		b := &backend{}
		_, err := b.Load(t.Context(), sdk.LoadRequest{Cell: wrong, CacheDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
		if !errors.Is(err, c.code) {
			t.Errorf("%s: error %v, want code %s", name, err, c.code)
		}
		if err := b.Unload(t.Context()); err != nil {
			t.Errorf("%s: Unload: %v", name, err)
		}
	}
}
