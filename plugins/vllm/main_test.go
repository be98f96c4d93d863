package main

import (
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/openaiserver"
)

func cell(parameters sdk.Table) sdk.Cell {
	return sdk.Cell{
		ID: "test", Parameters: parameters, Model: sdk.Model{ID: "org/model"},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 512, MaxOutputTokens: 128, ExactLengths: true},
		Load:     sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 4},
	}
}

func TestCommand(t *testing.T) {
	t.Setenv("VIRTUAL_ENV", "")
	const always = " --host 127.0.0.1 --port 8123 --disable-uvicorn-access-log --enable-prompt-tokens-details --generation-config vllm"
	for want, c := range map[string]struct {
		settings sdk.Table
		model    sdk.Model
	}{
		"vllm serve org/model" + always:                                  {sdk.Table{}, sdk.Model{ID: "org/model"}},
		"/e/bin/python -m vllm.entrypoints.cli.main serve /m" + always:   {sdk.Table{"python": "/e/bin/python"}, sdk.Model{Path: "/m", ID: "x"}},
		"/v serve a/b" + always + " --revision main --load-format dummy": {sdk.Table{"executable": "/v"}, sdk.Model{ID: "a/b", Revision: "main", Weights: sdk.WeightsDummy}},
	} {
		l := openaiserver.Launch{Settings: c.settings, Host: "127.0.0.1", Port: 8123}
		l.Request.Cell.Model = c.model
		argv, err := command(l)
		if got := strings.Join(argv, " "); err != nil || got != want {
			t.Errorf("%s\nwant %s, error %v", got, want, err)
		}
	}
	for _, two := range []sdk.Table{{"python": "p", "executable": "v"}, {"container": "i", "executable": "v"}, {"container": "i", "python": "p"}} {
		if _, err := command(openaiserver.Launch{Settings: two}); err == nil {
			t.Errorf("two environments were taken: %v", two)
		}
	}
	if argv, err := command(openaiserver.Launch{Settings: sdk.Table{"container": "i"}}); err != nil || argv[0] != "vllm" {
		t.Errorf("in a container %v, error %v", argv, err)
	}
	t.Setenv("VIRTUAL_ENV", "/env")
	if argv, _ := command(openaiserver.Launch{Settings: sdk.Table{}}); argv[0] != "/env/bin/vllm" {
		t.Errorf("%v", argv)
	}
}

func TestBuiltInModels(t *testing.T) {
	l := openaiserver.Launch{Request: sdk.LoadRequest{WorkDir: t.TempDir()}, Settings: sdk.Table{}, Host: "h", Port: 1}
	for id, want := range map[string]uint32{"tiny": 6, "160m": 12, "1b": 16, "8b": 32} {
		l.Request.Cell.Model = sdk.Model{ID: shapePrefix + id, Weights: sdk.WeightsDummy}
		argv, err := command(l)
		if line := strings.Join(argv, " "); err != nil || !strings.Contains(line, "serve "+l.Request.WorkDir+"/model ") || !strings.Contains(line, "--skip-tokenizer-init --load-format dummy") {
			t.Errorf("%s, error %v", line, err)
		}
		report := sdk.LoadReport{Model: sdk.ModelIdentity{Base: shapePrefix + id}}
		if fromModel(&report); report.Model.Layers == nil || *report.Model.Layers != want {
			t.Errorf("%s: %+v", id, report.Model)
		}
	}
	for _, bad := range []sdk.Model{{ID: "llem/random-3b", Weights: sdk.WeightsDummy}, {ID: "llem/random-8b"}} {
		c := cell(sdk.Table{})
		c.Model = bad
		if found := check(c); len(found) != 1 || found[0].Severity != sdk.SeverityError {
			t.Errorf("%+v: %+v", bad, found)
		}
	}
}

func TestThePrefixCacheIsDroppedWhereItIsOn(t *testing.T) {
	for _, c := range []struct {
		settings sdk.Table
		want     string
	}{
		{sdk.Table{"prefix_caching": false}, ""}, {sdk.Table{"prefix_caching": true}, "/reset_prefix_cache"},
		{sdk.Table{"prefix_caching": true, "mode": "attach"}, ""},
	} {
		dev := strings.Contains(strings.Join(environment(openaiserver.Launch{Settings: c.settings}), " "), "VLLM_SERVER_DEV_MODE=1")
		if got := flush(c.settings); got != c.want || dev != (c.want != "") {
			t.Errorf("%v: %q, its route is on: %v", c.settings, got, dev)
		}
	}
}

func TestChecks(t *testing.T) {
	for want, c := range map[string]sdk.Cell{
		"":                               cell(sdk.Table{"max_model_len": int64(640)}),
		"error max_model_len":            cell(sdk.Table{"max_model_len": int64(639)}),
		"error max_num_batched_tokens":   cell(sdk.Table{"max_num_batched_tokens": int64(256), "chunked_prefill": false}),
		"dormant gpu_memory_utilization": cell(sdk.Table{"gpu_memory_utilization": 0.5, "kv_cache_memory_bytes": int64(1 << 30)}),
		"dormant compilation_config":     cell(sdk.Table{"enforce_eager": true, "compilation_config": sdk.Table{"mode": int64(3)}}),
		"warning tensor_parallel_size":   cell(sdk.Table{"device": "cpu", "tensor_parallel_size": int64(2)}),
	} {
		var got []string
		for _, d := range check(c) {
			got = append(got, string(d.Severity)+" "+d.KeyPath)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%v: %v, want %s", c.Parameters, got, want)
		}
	}
	shared := cell(sdk.Table{})
	shared.Workload.SharedPrefixTokens = 64
	if found := check(shared); len(found) != 1 || found[0].KeyPath != "prefix_caching" {
		t.Errorf("%+v", found)
	}
	if found := openaiserver.Backend(engine()).Describe(); sdk.CheckSecrets(found.Parameters) != nil || len(found.Parameters) < 30 {
		t.Errorf("%d parameters", len(found.Parameters))
	}
}

func TestDevices(t *testing.T) {
	for want, p := range map[sdk.DeviceNeed]sdk.Table{
		{Kind: "gpu", Min: 0, Max: 1}: {}, {Kind: "cpu", Min: 1, Max: 1}: {"device": "cpu"},
		{Kind: "gpu", Min: 8, Max: 8}: {"device": "cuda", "tensor_parallel_size": int64(4), "pipeline_parallel_size": int64(2)},
	} {
		if got := devices(cell(p)); len(got) != 1 || got[0] != want {
			t.Errorf("%v: %+v, want %+v", p, got, want)
		}
	}
}

// What a real server said.
func TestReadBack(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	report := sdk.LoadReport{Resolved: sdk.Table{}, Devices: []sdk.DeviceUse{{ID: "GPU-1", Kind: "gpu", PID: 7}}}
	fromCaches(cacheConfigs(read("metrics-0.32.txt")), &report)
	fromConfig(read("config-0.32.txt"), &report)
	for key, want := range map[string]any{
		"dtype": "bfloat16", "kv_cache_dtype": "auto", "load_format": "auto", "enforce_eager": true, "chunked_prefill": true, "prefix_caching": false,
		"seed": int64(0), "tensor_parallel_size": int64(1), "block_size": int64(128), "kv_cache_memory_bytes": int64(64 << 20),
		"gpu_memory_utilization": 0.92, "device": "cpu",
	} {
		if report.Resolved[key] != want {
			t.Errorf("%s = %v, want %v", key, report.Resolved[key], want)
		}
	}
	if _, given := report.Resolved["quantization"]; given || *report.KVCapacityTokens != 21760 || report.Devices[0] != (sdk.DeviceUse{ID: "cpu", Kind: "cpu", PID: 7}) {
		t.Errorf("%+v", report)
	}
	copies := sdk.LoadReport{Resolved: sdk.Table{}}
	fromCaches(cacheConfigs(read("metrics-0.32.txt")+strings.ReplaceAll(read("metrics-0.32.txt"), `engine="0"`, `engine="1"`)), &copies)
	if *copies.KVCapacityTokens != 2*21760 || copies.Resolved["kv_cache_memory_bytes"] != int64(64<<20) {
		t.Errorf("two copies: %+v, %d tokens", copies, *copies.KVCapacityTokens)
	}
	old := sdk.LoadReport{Resolved: sdk.Table{}}
	fromCache(map[string]string{"block_size": "16", "num_gpu_blocks": "100", "kv_cache_memory_bytes": "None"}, &old)
	if *old.KVCapacityTokens != 1600 || len(old.Resolved) != 1 {
		t.Errorf("%+v", old)
	}
	two := "vllm:iteration_tokens_total_count{engine=\"0\",model_name=\"/m\"} 0.0\nvllm:iteration_tokens_total_count{engine=\"1\",model_name=\"/m\"} 0.0\n"
	if one := engines(read("metrics-0.32.txt")); one > 1 || engines(two) != 2 {
		t.Errorf("%d and %d engines", one, engines(two))
	}
	fromScheduler("(APIServer pid=7931) INFO 11-28 22:36:23 [scheduler.py:307] Chunked prefill is enabled with max_num_batched_tokens=128.", &report)
	if w := (sdk.Workload{MaxInputTokens: 129}); !dividesPrompts(report.Resolved, w) || dividesPrompts(old.Resolved, w) || dividesPrompts(report.Resolved, sdk.Workload{MaxInputTokens: 128}) {
		t.Errorf("a step of %v tokens", report.Resolved["max_num_batched_tokens"])
	}
	for _, d := range sdk.CheckTable(openaiserver.Backend(engine()).Describe().Parameters, report.Resolved) {
		t.Errorf("%+v", d)
	}
}
