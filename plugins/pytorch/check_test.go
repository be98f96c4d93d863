package main

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// cell is one that runs, with the given parameters.
func cell(parameters sdk.Table) sdk.Cell {
	return sdk.Cell{
		ID: "c", Parameters: parameters,
		Model:    sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy},
		Workload: sdk.Workload{RequestsPerPass: 4, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true},
		Load:     sdk.LoadShape{Loop: sdk.LoopBatch},
	}
}

func check(t *testing.T, c sdk.Cell, depth sdk.Depth) sdk.CellCheck {
	t.Helper()
	checks, err := (&backend{}).Check(t.Context(), []sdk.Cell{c}, depth)
	if err != nil || len(checks) != 1 {
		t.Fatal(checks, err)
	}
	return checks[0]
}

// wantOne wants exactly one finding.
func wantOne(t *testing.T, found []sdk.Diagnostic, severity sdk.Severity, key, words string) {
	t.Helper()
	if len(found) != 1 || found[0].Severity != severity || found[0].KeyPath != key || !strings.Contains(found[0].Message+"; "+found[0].Advice, words) {
		t.Errorf("found %+v; want one %s on %s with %q", found, severity, key, words)
	}
}

func TestACellThatRuns(t *testing.T) {
	got := check(t, cell(sdk.Table{"batch_size": int64(2), "dtype": "float32"}), sdk.DepthStatic)
	if len(got.Diagnostics) > 0 || got.Edge != sdk.EdgeDeviceSync || len(got.Loops) != 1 || got.Loops[0] != sdk.LoopBatch {
		t.Errorf("%+v", got)
	}
	if m := got.Memory; m == nil || *m.WeightsBytes != 4*5_475_584 || *m.KVBytesPerToken != 2*6*4*32*4 {
		t.Errorf("memory %+v", m)
	}
}

func TestWhatIsWrongWithACell(t *testing.T) {
	for _, c := range []struct {
		name       string
		parameters sdk.Table
		change     func(*sdk.Cell)
		severity   sdk.Severity
		key, words string
	}{
		{"closed loop", nil, func(c *sdk.Cell) { c.Load.Loop = sdk.LoopClosed }, sdk.SeverityError, "load.mode", "wait for its end"},
		{"open loop", nil, func(c *sdk.Cell) { c.Load.Loop = sdk.LoopOpen }, sdk.SeverityError, "load.mode", `mode = "batch"`},
		{"no such shape", nil, func(c *sdk.Cell) { c.Model.ID = "llem/random-70b" }, sdk.SeverityError, "model.id", "llem/random-8b"},
		{"no weights", nil, func(c *sdk.Cell) { c.Model.Weights = sdk.WeightsAuto }, sdk.SeverityError, "model.weights", `"dummy"`},
		{"no model", nil, func(c *sdk.Cell) { c.Model.ID = "" }, sdk.SeverityError, "model.id", "no model is named"},
		{"context", nil, func(c *sdk.Cell) { c.Workload.MaxInputTokens = 4096 }, sdk.SeverityError, "workload.input_tokens", "context of 4096"},
		{"revision", nil, func(c *sdk.Cell) { c.Model.Revision = "main" }, sdk.SeverityDormant, "model.revision", "hub"},
		{"lengths", nil, func(c *sdk.Cell) { c.Workload.ExactLengths = false }, sdk.SeverityWarning, "workload.lengths", "random"},
		{"half a batch", sdk.Table{"batch_size": int64(3)}, nil, sdk.SeverityWarning, "batch_size", "a batch of 1, not 3"},
		{"few requests", sdk.Table{"batch_size": int64(8)}, nil, sdk.SeverityWarning, "batch_size", "only 4 requests"},
		{"no cache", sdk.Table{"use_cache": false, "cache_implementation": "static"}, nil, sdk.SeverityError, "cache_implementation", "no cache"},
		{"flash in float32", sdk.Table{"attn_implementation": "flash_attention_2", "dtype": "float32"}, nil, sdk.SeverityError, "attn_implementation", "float32"},
		{"flash on the CPU", sdk.Table{"attn_implementation": "flash_attention_2", "device": "cpu"}, nil, sdk.SeverityError, "attn_implementation", "sdpa"},
		{"bitsandbytes on the CPU", sdk.Table{"quantization": "bnb_nf4", "device": "cpu"}, nil, sdk.SeverityError, "quantization", "torchao"},
		{"speculation in batches", sdk.Table{"prompt_lookup_num_tokens": int64(4), "batch_size": int64(4)}, nil, sdk.SeverityError, "batch_size", "batches of 1"},
		{"mode of nothing", sdk.Table{"compile_mode": "default"}, nil, sdk.SeverityDormant, "compile_mode", "compile = true"},
		{"TF32 on the CPU", sdk.Table{"allow_tf32": true, "device": "cpu"}, nil, sdk.SeverityDormant, "allow_tf32", "GPUs"},
		{"right padding", sdk.Table{"padding_side": "right"}, nil, sdk.SeverityWarning, "padding_side", "left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.parameters == nil {
				c.parameters = sdk.Table{}
			}
			wrong := cell(c.parameters)
			if c.change != nil {
				c.change(&wrong)
			}
			wantOne(t, check(t, wrong, sdk.DepthStatic).Diagnostics, c.severity, c.key, c.words)
		})
	}
}

func TestABatchOfNothing(t *testing.T) {
	found := sdk.CheckTable(parameters(), sdk.Table{"batch_size": int64(0)})
	wantOne(t, found, sdk.SeverityError, "batch_size", "below the least value 1")
}

// What an environment lacks, told from what its interpreter says.
func TestWhatIsWrongWithAnEnvironment(t *testing.T) {
	whole := func() worker.Environment {
		return worker.Environment{
			Python: "3.12.1", Executable: "/env/bin/python", CUDA: "12.8",
			Packages:  map[string]string{"torch": "2.11.0", "transformers": "5.17.0"},
			GPUs:      []worker.GPU{{UUID: "GPU-1", Capability: 90}},
			Arguments: map[string]string{"repetition_penalty": "generate", "max_memory": "from_pretrained"},
		}
	}
	for _, c := range []struct {
		name       string
		parameters sdk.Table
		change     func(*worker.Environment)
		severity   sdk.Severity
		key, words string
	}{
		{"no torch", nil, func(e *worker.Environment) { delete(e.Packages, "torch") }, sdk.SeverityError, "python", `/env/bin/python -m pip install "torch>=2.6"`},
		{"neither", nil, func(e *worker.Environment) { e.Packages = nil }, sdk.SeverityError, "python",
			`has no torch and no transformers; /env/bin/python -m pip install "torch>=2.6" "transformers>=5.0"`},
		{"old torch", nil, func(e *worker.Environment) { e.Packages["torch"] = "2.5.1+cu124" }, sdk.SeverityError, "python", "torch 2.5.1+cu124, where 2.6 or newer"},
		{"old transformers", nil, func(e *worker.Environment) { e.Packages["transformers"] = "4.57.3" }, sdk.SeverityError, "python", "5.0 or newer"},
		{"no CUDA build", sdk.Table{"device": "cuda"}, func(e *worker.Environment) { e.CUDA = "" }, sdk.SeverityError, "device", "built without CUDA"},
		{"no GPU", sdk.Table{"device": "cuda"}, func(e *worker.Environment) { e.GPUs = nil }, sdk.SeverityError, "device", "driver names no GPU"},
		{"a GPU left unused", nil, func(e *worker.Environment) { e.CUDA = "" }, sdk.SeverityWarning, "device", "the CPU will be measured"},
		{"no flash attention", sdk.Table{"attn_implementation": "flash_attention_2"}, nil, sdk.SeverityError, "attn_implementation", "pip install flash-attn"},
		{"GPU too old for flash attention", sdk.Table{"attn_implementation": "flash_attention_3"}, func(e *worker.Environment) {
			e.GPUs[0].Capability, e.Packages["kernels"] = 80, "0.6"
		}, sdk.SeverityError, "attn_implementation", "capability 8.0"},
		{"no bitsandbytes", sdk.Table{"quantization": "bnb_int8"}, nil, sdk.SeverityError, "quantization", "pip install bitsandbytes"},
		{"quantised checkpoint", sdk.Table{"quantization": "torchao_int8"}, func(e *worker.Environment) { e.Packages["torchao"] = "0.18.0" }, sdk.SeverityError, "quantization", "pip install accelerate"},
		{"nothing to spread over", sdk.Table{"device_map": "balanced"}, func(e *worker.Environment) { e.Packages["accelerate"] = "1.15.0" }, sdk.SeverityDormant, "device_map", "the driver names 1"},
		{"one device", sdk.Table{"device_map": "single", "quantization": "none"}, nil, "", "", ""},
		{"no accelerate", sdk.Table{"device_map": "auto"}, func(e *worker.Environment) { e.GPUs = append(e.GPUs, worker.GPU{UUID: "GPU-2"}) }, sdk.SeverityError, "device_map", "pip install accelerate"},
		{"no quantised cache", sdk.Table{"cache_implementation": "quantized"}, nil, sdk.SeverityError, "cache_implementation", "optimum-quanto or hqq"},
		{"bfloat16 on an old GPU", sdk.Table{"dtype": "bfloat16"}, func(e *worker.Environment) { e.GPUs[0].Capability = 75 }, sdk.SeverityWarning, "dtype", "tensor cores"},
		{"misspelt extra", sdk.Table{"extra": sdk.Table{"repetition_penality": 1.1}}, nil, sdk.SeverityError, "extra.repetition_penality", `did you mean "repetition_penalty"?`},
		{"own parameter in extra", sdk.Table{"extra": sdk.Table{"dtype": "float16"}}, nil, sdk.SeverityError, "extra.dtype", "outside extra"},
		{"tensor parallelism in extra", sdk.Table{"extra": sdk.Table{"tp_plan": "auto"}}, nil, sdk.SeverityError, "extra.tp_plan", "outside extra"},
		{"other parallelism", sdk.Table{"extra": sdk.Table{"distributed_config": sdk.Table{}}}, nil, sdk.SeverityError, "extra.distributed_config", "tp_plan and tp_size"},
		{"continuous batching of an old transformers", sdk.Table{"batching": "continuous"}, func(e *worker.Environment) { e.Packages["transformers"] = "5.10.2" }, sdk.SeverityError, "batching", "5.17 or newer"},
		{"continuous batching on a CPU", sdk.Table{"batching": "continuous", "device": "cpu"}, nil, sdk.SeverityError, "batching", "pip install psutil"},
		{"extra", sdk.Table{"extra": sdk.Table{"repetition_penalty": 1.1}}, nil, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := whole()
			if c.change != nil {
				c.change(&e)
			}
			if c.parameters == nil {
				c.parameters = sdk.Table{}
			}
			s, found := settle(cell(c.parameters))
			if c.name == "quantised checkpoint" {
				s.model.Weights = sdk.WeightsAuto
			}
			found.environment(s, e)
			if c.severity == "" {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			wantOne(t, found, c.severity, c.key, c.words)
		})
	}
}

func TestDevicesOfACell(t *testing.T) {
	gpu := &worker.Environment{CUDA: "12.8", GPUs: []worker.GPU{{UUID: "GPU-1"}, {UUID: "GPU-2"}}}
	for _, c := range []struct {
		p        sdk.Table
		e        *worker.Environment
		kind     string
		min, max uint32
	}{
		{sdk.Table{"device": "cpu"}, gpu, "cpu", 1, 1},
		{sdk.Table{"device": "cuda"}, nil, "gpu", 1, 1},
		{sdk.Table{}, gpu, "gpu", 1, 1},
		{sdk.Table{"device_map": "auto"}, gpu, "gpu", 1, 2},
		{sdk.Table{"tp_plan": "auto", "tp_size": int64(2), "device": "cuda"}, gpu, "gpu", 2, 2},
		{sdk.Table{"tp_plan": "auto", "tp_size": int64(2), "device": "cpu"}, gpu, "cpu", 1, 1},
		{sdk.Table{}, &worker.Environment{}, "cpu", 1, 1},
		{sdk.Table{}, nil, "gpu", 0, 1},
	} {
		if got := devices(c.p, c.e); len(got) != 1 || got[0] != (sdk.DeviceNeed{Kind: c.kind, Min: c.min, Max: c.max}) {
			t.Errorf("%v: %+v", c.p, got)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		have, least string
		older       bool
	}{
		{"2.6.0+cu124", "2.6", false}, {"2.5.1", "2.6", true}, {"2.10.0", "2.6", false}, {"5.0.0rc1", "5.0", false},
		{"4.57.3", "5.0", true}, {"5", "5.0", true}, {"3.0.dev1", "2.6", false},
	} {
		if older(c.have, c.least) != c.older {
			t.Errorf("%s is older than %s: %v", c.have, c.least, !c.older)
		}
	}
}

func TestNoPython(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("VIRTUAL_ENV", "")
	wantOne(t, check(t, cell(sdk.Table{}), sdk.DepthEnvironment).Diagnostics, sdk.SeverityError, "python", "no Python on this machine")
	wantOne(t, check(t, cell(sdk.Table{"python": "/nowhere/python"}), sdk.DepthEnvironment).Diagnostics, sdk.SeverityError, "python", "/nowhere/python")
}
