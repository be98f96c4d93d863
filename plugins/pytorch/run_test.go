//go:build engines

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

var batchOf4 = sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 4, Record: sdk.RecordRequest}

// The stamps of passes, batches and tokens lie in order, and padding is counted.
func TestStampsAndCounts(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{2, 4} {
		b, report := loadEngine(t, engineCell(t, sdk.Table{"batch_size": size, "dtype": "float32"}))
		if len(report.Devices) != 1 || report.Devices[0].ID != "cpu" || int(report.Devices[0].PID) != b.workers.First().PID() {
			t.Errorf("devices %+v; the worker is process %d", report.Devices, b.workers.First().PID())
		}
		spec := batchOf4
		spec.Record, spec.RecordSteps = sdk.RecordToken, true
		got := drive(t, b, spec, workOf(6, append(prompts(4), prompts(4)...)...))
		if len(got.passes) != 2 || len(got.completions) != 8 {
			t.Fatalf("%d passes, %d completions", len(got.passes), len(got.completions))
		}
		// Prompts of 5, 12, 19 and 26 tokens, filled up to the longest of a batch.
		padding := map[int64]int64{2: 7 + 7, 4: 21 + 14 + 7}[size]
		for _, p := range got.passes {
			if p.PaddingTokens != padding || p.PromptTokens != 62 || p.OutputTokens != 24 || p.Requests != 4 || p.Failed != 0 {
				t.Errorf("batches of %d: pass %+v", size, p)
			}
			if oneBatch := size == 4; (p.PrefillEndNs > p.BeginNs && p.PrefillEndNs < p.EndNs) != oneBatch {
				t.Errorf("batches of %d: the prefill's end of pass %+v", size, p)
			}
		}
		for i, c := range got.completions {
			p := got.passes[i/4]
			if !(p.BeginNs <= c.SentNs && c.SentNs < c.FirstNs && c.FirstNs < c.LastNs && c.LastNs <= p.EndNs) || c.IntendedNs != p.BeginNs || c.FinishReason != "length" {
				t.Errorf("completion %+v in pass %+v", c, p)
			}
			if len(c.Chunks) != 6 || c.Chunks[0].MonoNs != c.FirstNs || c.Chunks[5].MonoNs != c.LastNs {
				t.Errorf("request %d has the chunks %+v", i, c.Chunks)
			}
		}
		if want := 6 * 8 / int(size); len(got.steps) != want {
			t.Errorf("%d steps, want %d", len(got.steps), want)
		}
		counters, err := b.Counters(t.Context())
		if err != nil || *counters.OutputTokens != 48 || *counters.PromptTokens != 124 || *counters.PaddingTokens != 2*padding ||
			*counters.EngineSteps != int64(len(got.steps)) || *counters.ScheduledTokens != 124+2*padding+5*8 {
			t.Errorf("counters %+v, error %v", counters, err)
		}
		if kv := named(counters, "kv_cache_bytes"); kv != float64(6*4*32*2*4*(26+6)*size) {
			t.Errorf("%g bytes of KV cache", kv)
		}
		if named(counters, "peak_memory_bytes") < 50e6 {
			t.Errorf("%+v", counters.Named)
		}
		if size == 4 {
			t.Run("outputs of different lengths", func(t *testing.T) { differentLengths(t, b) })
			t.Run("sampling", func(t *testing.T) { sampledOutputs(t, b) })
		}
	}
}

func named(c sdk.Counters, name string) float64 {
	for _, n := range c.Named {
		if n.Name == name {
			return n.Value
		}
	}
	return -1
}

// Sorting by length changes no output, and pads less.
func TestBatchesSortedByLength(t *testing.T) {
	t.Parallel()
	work := workOf(4, prompts(4)...)
	work.Items[1], work.Items[2] = work.Items[2], work.Items[1] // 5, 19, 12 and 26 tokens
	hashes := map[uint32]uint64{}
	for batching, padding := range map[string]int64{"in_order": 14 + 14, "length_sorted": 7 + 7} {
		b, report := loadEngine(t, engineCell(t, sdk.Table{"batch_size": int64(2), "batching": batching, "dtype": "float32"}))
		got := drive(t, b, batchOf4, work)
		if got.passes[0].PaddingTokens != padding || report.Resolved["batching"] != batching {
			t.Errorf("%s: %+v", batching, got.passes[0])
		}
		for i, c := range got.completions {
			if before, ok := hashes[i]; ok && before != *c.OutputHash {
				t.Errorf("request %d has another output when sorted", i)
			}
			hashes[i] = *c.OutputHash
		}
	}
}

// A batch is computed until its longest output is complete; the others get the
// tokens that they asked for, and what is computed beyond them is padding.
func differentLengths(t *testing.T, b *backend) {
	work := workOf(8, prompts(1)[0], prompts(1)[0], prompts(1)[0], prompts(1)[0])
	work.Items[1].MaxTokens = 3
	got := drive(t, b, batchOf4, work)
	short, long := got.completions[1], got.completions[0]
	if short.OutputTokens != 3 || long.OutputTokens != 8 || short.LastNs >= long.LastNs || short.LastNs <= short.FirstNs {
		t.Errorf("%+v beside %+v", short, long)
	}
	if p := got.passes[0]; p.PaddingTokens != 5 || p.OutputTokens != 27 {
		t.Errorf("pass %+v", p)
	}
}

// naturalModel is the tiny model with another end-of-sequence: token 726, which
// it is known to give third for the prompt of TestTokensOfAllEngines.
func naturalModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fromEnvironment(t, "LLEM_TEST_MODEL"))); err != nil {
		t.Fatal(err)
	}
	// What its authors suggest for sampling must not be used either.
	write(t, filepath.Join(dir, "generation_config.json"), []byte(`{"eos_token_id": [726, 3], "do_sample": true, "temperature": 5.0, "top_k": 7}`))
	return dir
}

func TestLengths(t *testing.T) {
	t.Parallel()
	c := engineCell(t, sdk.Table{"batch_size": int64(2), "dtype": "float32"})
	c.Model.Path = naturalModel(t)
	b, _ := loadEngine(t, c)
	hello := []uint32{45, 74, 81, 81, 84}
	spec := batchOf4
	spec.RequestsPerPass = 2
	for exact, tokens := range map[bool]uint32{false: 3, true: 6} {
		work := workOf(6, hello, prompts(1)[0])
		work.ExactLengths = exact
		got := drive(t, b, spec, work)
		ids := []uint32{1419, 1742, 726, 726, 726, 726}[:tokens]
		reason := map[bool]string{false: "stop", true: "length"}[exact]
		if c := got.completions[0]; c.OutputTokens != tokens || *c.OutputHash != sdk.OutputHash(ids) || c.FinishReason != reason {
			t.Errorf("exact lengths %v: %+v", exact, c)
		}
	}
}

// Sampling is the workload's, and repeats itself with its seed.
func sampledOutputs(t *testing.T, b *backend) {
	hash := func(temperature float64, topK uint32, seed int64) uint64 {
		work := workOf(8, prompts(4)...)
		work.Sampling = sdk.Sampling{Temperature: temperature, TopK: topK, Seed: seed}
		return *drive(t, b, batchOf4, work).completions[3].OutputHash
	}
	greedy, first := hash(0, 0, 1), hash(2, 0, 1)
	if hash(2, 0, 1) != first || hash(2, 0, 2) == first || greedy == first || hash(2, 1, 3) != greedy || hash(2, 0, 1<<62) == first {
		t.Error("sampling does not follow its temperature, top_k and seed")
	}
}

// A free argument reaches generate.
func TestExtraArguments(t *testing.T) {
	t.Parallel()
	spec := batchOf4
	spec.RequestsPerPass = 1
	hello := []uint32{45, 74, 81, 81, 84}
	b, report := loadEngine(t, engineCell(t, sdk.Table{"dtype": "float32", "extra": sdk.Table{"repetition_penalty": 5.0}}))
	if extra := report.Resolved.Table("extra"); extra["repetition_penalty"] != 5.0 {
		t.Errorf("resolved %+v", report.Resolved)
	}
	got := drive(t, b, spec, workOf(6, hello))
	if *got.completions[0].OutputHash == sdk.OutputHash([]uint32{1419, 1742, 726, 726, 726, 726}) {
		t.Error("a repetition penalty changed nothing in a text that repeats itself")
	}
}

// Speculation gives the same tokens in fewer steps.
func TestPromptLookup(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, engineCell(t, sdk.Table{"dtype": "float32", "prompt_lookup_num_tokens": int64(4)}))
	spec := batchOf4
	spec.RequestsPerPass, spec.Record = 1, sdk.RecordToken
	got := drive(t, b, spec, workOf(6, []uint32{45, 74, 81, 81, 84}))
	if c := got.completions[0]; *c.OutputHash != sdk.OutputHash([]uint32{1419, 1742, 726, 726, 726, 726}) || c.Chunks != nil {
		t.Errorf("%+v", c)
	}
	counters, err := b.Counters(t.Context())
	if err != nil || *counters.EngineSteps >= 6 || *counters.SpecAccepted != 6-*counters.EngineSteps {
		t.Errorf("%d steps, %d accepted, error %v", *counters.EngineSteps, *counters.SpecAccepted, err)
	}
}

// Settings that change how it is computed change no token, and are read back.
func TestSettingsThatChangeNoToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ given, resolved sdk.Table }{
		"eager, no cache": {
			sdk.Table{"attn_implementation": "eager", "use_cache": false, "matmul_precision": "high", "interop_threads": int64(1)},
			sdk.Table{"attn_implementation": "eager", "use_cache": false, "matmul_precision": "high", "interop_threads": int64(1)},
		},
		"static":    {sdk.Table{"cache_implementation": "static", "compile": false}, sdk.Table{"cache_implementation": "static", "compile": false}},
		"assistant": {sdk.Table{"assistant_model": fromEnvironment(t, "LLEM_TEST_MODEL")}, sdk.Table{"cache_implementation": "dynamic"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.given["dtype"] = "float32"
			b, report := loadEngine(t, engineCell(t, c.given))
			for key, value := range c.resolved {
				if report.Resolved[key] != value {
					t.Errorf("%s is %v, read back", key, report.Resolved[key])
				}
			}
			if len(report.Warnings) > 0 {
				t.Errorf("warnings %+v", report.Warnings)
			}
			spec := batchOf4
			spec.RequestsPerPass = 1
			got := drive(t, b, spec, workOf(6, []uint32{45, 74, 81, 81, 84}))
			if *got.completions[0].OutputHash != sdk.OutputHash([]uint32{1419, 1742, 726, 726, 726, 726}) {
				t.Errorf("other tokens: %+v", got.completions[0])
			}
		})
	}
}

// What was asked for and is not in use is a warning that names it.
func TestWhatDidNotTakeEffect(t *testing.T) {
	t.Parallel()
	_, report := loadEngine(t, engineCell(t, sdk.Table{"allow_tf32": true}))
	if w := report.Warnings; len(w) != 1 || w[0].Code != "dormant_parameter" || w[0].KeyPath != "allow_tf32" {
		t.Errorf("warnings %+v", w)
	}
}
