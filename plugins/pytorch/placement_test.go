//go:build engines

package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// Random weights are made where device_map puts them.
func TestPlacementOfRandomWeights(t *testing.T) {
	t.Parallel()
	command := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "testdata/placement.py", "internal/worker/python", fromEnvironment(t, "LLEM_TEST_MODEL"))
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// What was asked for and is not in use is told, and is not in the result as if it
// were. One device to spread over, a torch.compile that the environment turns off,
// and an argument of from_pretrained that random weights never meet.
func TestWhatIsNotInUse(t *testing.T) {
	t.Parallel()
	c := engineCell(t, sdk.Table{
		"device_map": "balanced", "compile": true, "tp_size": int64(2), "quantization": "none", "num_beams": int64(2), "use_cache": true,
		"extra": sdk.Table{"repetition_penalty": 1.1, "max_memory": sdk.Table{"cpu": "1GB"}},
	})
	c = withEnvironment(t, c, "export TORCH_COMPILE_DISABLE=1")
	c.Model = sdk.Model{ID: "llem/random-tiny", Weights: sdk.WeightsDummy}
	_, report := loadEngine(t, c)
	wantDormant(t, report, map[string]any{"device_map": "single", "compile": false, "tp_size": int64(1)})
	for key, want := range map[string]any{"quantization": "none", "num_beams": int64(2), "use_cache": true, "device": "cpu", "batching": "in_order", "padding_side": "left", "prefix_caching": false} {
		if report.Resolved[key] != want {
			t.Errorf("%s is %v; want %v", key, report.Resolved[key], want)
		}
	}
	if extra := report.Resolved.Table("extra"); len(extra) != 2 {
		t.Errorf("extra %+v", extra)
	}
	delete(c.Parameters, "device_map")
	delete(c.Parameters, "tp_size")
	delete(c.Parameters, "compile")
	_, report = loadEngine(t, c)
	wantDormant(t, report, map[string]any{"extra.max_memory": nil})
	if extra := report.Resolved.Table("extra"); len(extra) != 1 || extra["repetition_penalty"] != 1.1 {
		t.Errorf("extra %+v", extra)
	}
	if len(c.Parameters.Table("extra")) != 2 {
		t.Error("the cell itself was changed")
	}
}

// wantDormant wants a warning for each of the keys, no other warning, and the values.
func wantDormant(t *testing.T, report sdk.LoadReport, values map[string]any) {
	t.Helper()
	for _, w := range report.Warnings {
		if _, ok := values[w.KeyPath]; !ok || w.Code != "dormant_parameter" || w.Message == "" {
			t.Errorf("warning %+v", w)
		}
	}
	for key, want := range values {
		if !strings.HasPrefix(key, "extra.") && report.Resolved[key] != want {
			t.Errorf("%s is %v; want %v", key, report.Resolved[key], want)
		}
	}
	if len(report.Warnings) != len(values) {
		t.Errorf("warnings %+v; want one for each of %v", report.Warnings, values)
	}
}
