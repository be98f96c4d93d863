package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

func TestCommand(t *testing.T) {
	t.Setenv("VIRTUAL_ENV", "")
	for want, c := range map[string]struct {
		settings sdk.Table
		built    string
	}{
		"trtllm-serve serve org/model":                               {sdk.Table{}, ""},
		"/e/bin/python -m tensorrt_llm.commands.serve serve /engine": {sdk.Table{"python": "/e/bin/python"}, "/engine"},
		"/x serve org/model":                                         {sdk.Table{"executable": "/x"}, ""},
	} {
		l := openaiserver.Launch{Settings: c.settings, Built: c.built, Host: "127.0.0.1", Port: 8123}
		l.Request.Cell.Model = sdk.Model{ID: "org/model"}
		want += " --host 127.0.0.1 --port 8123 --extra_llm_api_options " + optionsFile
		if c.built != "" {
			want += " --tokenizer org/model"
		}
		argv, err := command(l)
		if got := strings.Join(argv, " "); err != nil || got != want {
			t.Errorf("%s\nwant %s, error %v", got, want, err)
		}
	}
	if _, err := command(openaiserver.Launch{Settings: sdk.Table{"python": "p", "executable": "x"}}); err == nil {
		t.Error("two environments were taken")
	}
	t.Setenv("VIRTUAL_ENV", "/env")
	if argv, _ := command(openaiserver.Launch{Settings: sdk.Table{}}); argv[0] != "/env/bin/trtllm-serve" {
		t.Errorf("%v", argv)
	}
	// An image has an environment of its own.
	if argv, _ := command(openaiserver.Launch{Settings: sdk.Table{"container": "i@sha256:0"}}); argv[0] != "trtllm-serve" {
		t.Errorf("%v", argv)
	}
}

func TestOptions(t *testing.T) {
	for want, c := range map[string]sdk.Table{
		"": {},
		"cuda_graph_config:\n  batch_sizes: [1, 8]\n  enable_padding: true\n": {"cuda_graph_batch_sizes": []any{int64(1), int64(8)}, "cuda_graph_padding": true},
		"cuda_graph_config: null\n":                            {"cuda_graphs": false, "cuda_graph_padding": true},
		"iter_stats_max_iterations: 1000000\n":                 {"iteration_stats": true, "backend": tensorrt},
		"attn_backend: \"FLASHINFER\"\nmoe_config:\n":          {"attention_backend": "FLASHINFER", "moe_backend": "CUTLASS"},
		"speculative_config:\n  decoding_type: \"MTP\"\n":      {"speculative_config": sdk.Table{"decoding_type": "MTP"}},
		"quant_config:\n  exclude_modules: [{\"a\": 0.5}]\n":   {"extra": sdk.Table{"quant_config": sdk.Table{"exclude_modules": []any{sdk.Table{"a": 0.5}}}}},
		"kv_cache_config:\n  \"dtype\": \"fp8\"\n  max_tokens": {"kv_cache_dtype": "fp8", "extra": sdk.Table{"kv_cache_config": sdk.Table{"max_tokens": int64(5)}}},
	} {
		found, err := options(openaiserver.Launch{Settings: c})
		if text := yaml(found); err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("%v: %s, want %s, error %v", c, text, want, err)
		}
	}
	twice := sdk.Table{"kv_cache_dtype": "fp8", "extra": sdk.Table{"kv_cache_config": sdk.Table{"dtype": "auto"}}}
	var e *sdk.Error
	if _, err := options(openaiserver.Launch{Settings: twice}); !errors.As(err, &e) || e.KeyPath != "extra.kv_cache_config.dtype" {
		t.Errorf("error %v", err)
	}
}

// Values that readers of YAML are known to take for something else.
func TestYAML(t *testing.T) {
	got := yaml(map[string]any{
		"on": true, "a_b": "no", "0x1f": "1e3", "quote": "a\"b\\c\n#: é\u2028", "tiny": 1e-7, "huge": 1e300, "whole": 3.0, "third": 1.0 / 3, "int": int64(math.MaxInt64),
		"empty": map[string]any{}, "list": []any{nil, "~", 0.1, []any{}, map[string]any{"x": int64(1)}}, "deep": map[string]any{"er": map[string]any{"no": nil}},
	})
	want := `"0x1f": "1e3"
a_b: "no"
"deep":
  "er":
    "no": null
"empty": {}
"huge": 1.0e+300
"int": 9223372036854775807
"list": [null, "~", 0.1, [], {"x": 1}]
"on": true
"quote": "a\"b\\c\n#: é\u2028"
"third": 0.3333333333333333
"tiny": 1.0e-07
"whole": 3.0
`
	if got != want {
		t.Errorf("%s", got)
	}
	if yaml(nil) != "{}\n" {
		t.Errorf("%q", yaml(nil))
	}
}

func TestDialect(t *testing.T) {
	shared := loadgen.TensorRT()
	ids, text := speak(shared, sdk.Table{}), speak(shared, sdk.Table{"detokenize": true})
	if ids.Extra["detokenize"] != false || ids.IDs == "" || ids.MinTokens != "" || text.Extra["detokenize"] != nil || text.IDs != "" {
		t.Errorf("%+v\n%+v", ids, text)
	}
	if shared.Extra["detokenize"] != false {
		t.Error("the shared dialect was changed")
	}
}

func TestChecks(t *testing.T) {
	cell := func(p sdk.Table) sdk.Cell {
		return sdk.Cell{
			Parameters: p, Model: sdk.Model{Path: "/m"}, Workload: sdk.Workload{MaxInputTokens: 512, MaxOutputTokens: 128},
		}
	}
	hub := cell(sdk.Table{"backend": tensorrt})
	hub.Model = sdk.Model{ID: "org/model", Revision: "main"}
	pinned := hub
	pinned.Model.Revision = strings.Repeat("0a", 20)
	shared := cell(sdk.Table{})
	shared.Workload.SharedPrefixTokens = 64
	for _, c := range []struct {
		want string
		cell sdk.Cell
	}{
		{"", cell(sdk.Table{"max_seq_len": int64(640), "max_num_tokens": int64(512)})},
		{"error max_seq_len", cell(sdk.Table{"max_seq_len": int64(639)})},
		{"error max_num_tokens", cell(sdk.Table{"max_num_tokens": int64(511)})},
		{"", cell(sdk.Table{"max_num_tokens": int64(256), "chunked_prefill": true})},
		{"error cuda_graphs, error stream_interval", cell(sdk.Table{"backend": tensorrt, "cuda_graphs": true, "stream_interval": int64(1)})},
		{"error build_config", cell(sdk.Table{"build_config": sdk.Table{}})},
		{"dormant cuda_graph_padding", cell(sdk.Table{"cuda_graphs": false, "cuda_graph_padding": true})},
		{"error expert_parallel_size", cell(sdk.Table{"tensor_parallel_size": int64(4), "expert_parallel_size": int64(3)})},
		{"", cell(sdk.Table{"tensor_parallel_size": int64(4), "expert_parallel_size": int64(2)})},
		{"error extra.dtype", cell(sdk.Table{"dtype": "bfloat16", "extra": sdk.Table{"dtype": "auto"}})},
		{"error container", cell(sdk.Table{"backend": tensorrt, "container": "i@sha256:0"})},
		{"error model.revision", hub},
		{"", pinned},
		{"warning block_reuse", shared},
	} {
		var got []string
		for _, d := range check(c.cell) {
			got = append(got, string(d.Severity)+" "+d.KeyPath)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%v: %v, want %s", c.cell.Parameters, got, c.want)
		}
	}
	if found := openaiserver.Backend(engine()).Describe(); sdk.CheckSecrets(found.Parameters) != nil || len(found.Parameters) < 30 {
		t.Errorf("%d parameters", len(found.Parameters))
	}
	if need := devices(cell(sdk.Table{"tensor_parallel_size": int64(4), "pipeline_parallel_size": int64(2)})); need[0] != (sdk.DeviceNeed{Kind: "gpu", Min: 8, Max: 8}) {
		t.Errorf("%+v", need)
	}
}

// What the queue may hold besides steps in a row.
func TestSteps(t *testing.T) {
	server := &openaiserver.Server{PID: 1, Settings: sdk.Table{"iteration_stats": true, "block_reuse": false}}
	count := func(text string) (*statistics, error) {
		s := &statistics{}
		return s, each(strings.NewReader(text), s.add)
	}
	const step = `{"iter": 4, "inflightBatchingStats": {"numScheduledRequests": 2, "numGenRequests": 1, "numCtxTokens": 5, "numPausedRequests": 1}}`
	s, err := count(`[` + step + `, ` + strings.Replace(step, "4", "5", 1) + `, {"iter": 6, "inflightBatchingStats": {"numScheduledRequests": 0}}, {"iter": 7}]`)
	if c := s.counters(server); err != nil || *c.EngineSteps != 2 || *c.PromptTokens != 10 || *c.ScheduledTokens != 12 || *c.Preemptions != 2 || *c.RunningMean != 2 || c.SpecAccepted != nil {
		t.Errorf("%+v, error %v", c, err)
	}
	s, _ = count(`[` + step + `, {"iter": 6}]`)
	if c := s.counters(server); c.EngineSteps != nil {
		t.Errorf("a step was missed: %+v", c)
	}
	s, _ = count(`[{"iter": 1, "inflightBatchingStats": {"numScheduledRequests": 1, "numGenRequests": 1}, "specDecodingStats": {"numDraftTokens": 3, "numAcceptedTokens": 2}}]`)
	if c := s.counters(server); *c.SpecAccepted != 2 || c.ScheduledTokens != nil {
		t.Errorf("speculation: %+v", c)
	}
	server.PID = 0 // attached to: whether it reuses blocks is not known
	if c := s.counters(server); c.PromptTokens != nil {
		t.Errorf("%+v", c)
	}
	for _, bad := range []string{"", "{}", "[1]", "[{}", `[{"iter": "x"}]`, "null"} {
		if _, err := count(bad); err == nil {
			t.Errorf("%q was taken for statistics", bad)
		}
	}
}

func FuzzSteps(f *testing.F) {
	f.Add(`[{"iter": 1, "inflightBatchingStats": {"numScheduledRequests": 1}, "kvCacheStats": null}]`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &statistics{}
		_ = each(strings.NewReader(text), s.add)
		if c := s.counters(&openaiserver.Server{Settings: sdk.Table{"iteration_stats": true}}); s.broken && c.EngineSteps != nil {
			t.Error("sums of steps that were missed")
		}
	})
}
