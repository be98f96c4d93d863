package main

import (
	"testing"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// split are parameters with tensor parallelism over two ranks, and others.
func split(others sdk.Table) sdk.Table {
	p := sdk.Table{"tp_plan": "auto", "tp_size": int64(2)}
	for key, value := range others {
		p[key] = value
	}
	return p
}

func TestWhatTensorParallelismCannotDo(t *testing.T) {
	for key, value := range map[string]any{
		"device_map": "auto", "quantization": "torchao_int8", "batching": "continuous", "assistant_model": "other/model",
	} {
		found := check(t, cell(split(sdk.Table{key: value, "batch_size": int64(1)})), sdk.DepthStatic).Diagnostics
		wantOne(t, found[:1], sdk.SeverityError, key, "tensor parallelism cannot")
	}
	for _, c := range []struct {
		name       string
		parameters sdk.Table
		severity   sdk.Severity
		words      string
	}{
		{"heads", split(sdk.Table{"tp_size": int64(3)}), sdk.SeverityError, "8 attention heads cannot be divided among 3 ranks"},
		{"KV heads", split(sdk.Table{"tp_size": int64(8)}), sdk.SeverityError, "4 KV heads cannot be divided among 8 ranks"},
		{"no size", sdk.Table{"tp_plan": "auto"}, sdk.SeverityError, "does not say over how many"},
		{"no plan", sdk.Table{"tp_size": int64(2)}, sdk.SeverityDormant, `tp_plan = "auto"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantOne(t, check(t, cell(c.parameters), sdk.DepthStatic).Diagnostics, c.severity, "tp_size", c.words)
		})
	}
	// One rank is one process, for a sweep that begins with it.
	one := split(sdk.Table{"tp_size": int64(1), "device_map": "auto"})
	if found := check(t, cell(one), sdk.DepthStatic).Diagnostics; len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

func TestEnvironmentsOfTensorParallelism(t *testing.T) {
	for _, c := range []struct {
		name       string
		parameters sdk.Table
		change     func(*worker.Environment)
		severity   sdk.Severity
		key, words string
	}{
		{"it runs", nil, func(*worker.Environment) {}, "", "", ""},
		{"too few GPUs", nil, func(e *worker.Environment) { e.GPUs = e.GPUs[:1] }, sdk.SeverityError, "tp_size", "the driver names 1"},
		{"old transformers", nil, func(e *worker.Environment) { e.Packages["transformers"] = "5.16.2" }, sdk.SeverityError, "tp_plan", "transformers>=5.17"},
		{"no accelerate", nil, func(e *worker.Environment) { delete(e.Packages, "accelerate") }, sdk.SeverityError, "tp_plan", "pip install accelerate"},
		{"threads on the CPU", sdk.Table{"device": "cpu"}, func(*worker.Environment) {}, sdk.SeverityWarning, "num_threads", "for every core"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := worker.Environment{
				Executable: "/env/bin/python", CUDA: "12.8", GPUs: []worker.GPU{{UUID: "GPU-1"}, {UUID: "GPU-2"}},
				Packages: map[string]string{"torch": "2.11.0", "transformers": "5.17.0", "accelerate": "1.15.0"},
			}
			c.change(&e)
			s, found := settle(cell(split(c.parameters)))
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
