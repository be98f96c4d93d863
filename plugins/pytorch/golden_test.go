//go:build engines

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// prompts of different lengths, so that batches are padded.
func prompts(n int) [][]uint32 {
	all := make([][]uint32, n)
	for i := range all {
		for j := range 5 + 7*i {
			all[i] = append(all[i], uint32((37*i+53*j+11*i*j)%1900+100))
		}
	}
	return all
}

// plainCase is one call of the plain script.
type plainCase struct {
	Model   string     `json:"model"`
	DType   string     `json:"dtype"`
	Cache   string     `json:"cache"`
	Beams   int        `json:"beams"`
	Int8    bool       `json:"int8"`
	Prompts [][]uint32 `json:"prompts"`
	Tokens  uint32     `json:"tokens"`
}

// plain runs the script without llem, once for all cases: most of its time is
// that of its imports.
func plain(t *testing.T, cases ...plainCase) [][][]uint32 {
	t.Helper()
	for i := range cases {
		cases[i].Model = fromEnvironment(t, "LLEM_TEST_MODEL")
	}
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "testdata/plain_generate.py")
	command.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("the plain script: %v\n%s", err, stderr.String())
	}
	var ids [][][]uint32
	if err := json.Unmarshal(output, &ids); err != nil || len(ids) != len(cases) {
		t.Fatalf("%d answers, error %v", len(ids), err)
	}
	return ids
}

// The worker's greedy tokens are those of model.generate, token for token.
func TestTokensEqualThoseOfAPlainScript(t *testing.T) {
	t.Parallel()
	const tokens = 24
	var cases []plainCase
	var inferring []bool
	for _, c := range []struct {
		dtype, cache string
		batch, beams int
		inference    bool
	}{
		{"float32", "", 1, 1, false},
		{"float32", "", 4, 1, true},
		{"float32", "static", 4, 1, false},
		{"bfloat16", "", 4, 1, false},
		{"bfloat16", "static", 1, 1, true},
		{"float32", "", 2, 3, false},
	} {
		inferring = append(inferring, c.inference)
		cases = append(cases, plainCase{DType: c.dtype, Cache: c.cache, Beams: c.beams, Prompts: prompts(c.batch), Tokens: tokens})
	}
	plainly := plain(t, cases...)
	for i, c := range cases {
		batch := len(c.Prompts)
		t.Run(fmt.Sprintf("%s %s cache, batch %d, %d beams", c.DType, c.Cache, batch, c.Beams), func(t *testing.T) {
			t.Parallel()
			parameters := sdk.Table{"dtype": c.DType, "batch_size": int64(batch), "num_beams": int64(c.Beams)}
			if inferring[i] {
				parameters["inference_mode"] = true
			}
			if c.Cache != "" {
				parameters["cache_implementation"] = c.Cache
			}
			b, report := loadEngine(t, engineCell(t, parameters))
			want := map[string]any{"dtype": c.DType, "cache_implementation": "dynamic", "attn_implementation": "sdpa", "num_threads": int64(1), "inference_mode": inferring[i]}
			if c.Cache != "" {
				want["cache_implementation"] = c.Cache
			}
			for key, value := range want {
				if report.Resolved[key] != value {
					t.Errorf("%s is %v, read back; want %v", key, report.Resolved[key], value)
				}
			}
			if len(report.Warnings) > 0 {
				t.Errorf("warnings %+v", report.Warnings)
			}
			got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: uint32(batch), Record: sdk.RecordRequest}, workOf(tokens, c.Prompts...))
			for i, ids := range plainly[i] {
				if done := got.completions[uint32(i)]; done.OutputTokens != tokens || *done.OutputHash != sdk.OutputHash(ids) {
					t.Errorf("request %d: %+v; the plain script has %v", i, done, ids)
				}
			}
		})
	}
}

// With weights in int8, too, which are read back as such.
func TestTokensOfQuantisedWeights(t *testing.T) {
	t.Parallel()
	const tokens = 12
	b, report := loadEngine(t, engineCell(t, sdk.Table{"dtype": "float32", "quantization": "torchao_int8", "batch_size": int64(2)}))
	if len(report.Warnings) > 0 || report.Model.Quantisation != "torchao_int8" {
		t.Errorf("warnings %+v, identity %+v", report.Warnings, report.Model)
	}
	for _, p := range report.Packages {
		if p.Name == "class of quantised weights" && !strings.Contains(p.Version, "Int8") {
			t.Errorf("%s: %s", p.Name, p.Version)
		}
	}
	requests := prompts(2)
	got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordRequest}, workOf(tokens, requests...))
	for i, ids := range plain(t, plainCase{DType: "float32", Beams: 1, Int8: true, Prompts: requests, Tokens: tokens})[0] {
		if done := got.completions[uint32(i)]; *done.OutputHash != sdk.OutputHash(ids) {
			t.Errorf("request %d: %+v; the plain script has %v", i, done, ids)
		}
	}
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

// transformers give the ids that vLLM, SGLang and llama.cpp give.
func TestTokensOfAllEngines(t *testing.T) {
	t.Parallel()
	b, report := loadEngine(t, engineCell(t, sdk.Table{"dtype": "float32"}))
	work, want := golden(t)
	got := drive(t, b, sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 1, Record: sdk.RecordRequest}, work)
	for i, hash := range want {
		if done := got.completions[uint32(i)]; done.OutputHash == nil || *done.OutputHash != hash {
			t.Errorf("other ids for prompt %d: %+v", i, done)
		}
	}
	m := report.Model
	if m.RandomWeights || *m.Parameters != 5_475_584 || *m.Vocab != 2048 || *m.KVHeads != 4 || m.WeightType != "float32" || len(m.ArtifactDigest) != 71 {
		t.Errorf("identity %+v", m)
	}
	ids, err := b.Tokenize(t.Context(), []string{"Hello", ""})
	if err != nil || len(ids) != 2 || fmt.Sprint(ids[0]) != "[45 74 81 81 84]" || len(ids[1]) != 0 {
		t.Errorf("tokens %v, error %v", ids, err)
	}
}
