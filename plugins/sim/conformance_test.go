package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// binary is the plugin as users get it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "llem-sim-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "sim")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, []string{binary}, plugintest.Options{})
}

// The other readings, a bus, several domains and children are no less correct.
func TestConformanceWithAllThereIs(t *testing.T) {
	t.Parallel()
	bus := filepath.Join(t.TempDir(), "bus") // all of them on one
	cell := sdk.Cell{
		ID: "closed", Model: sdk.Model{ID: "sim"},
		Parameters: sdk.Table{"bus": bus, "busy_w": 50.0, "children": true, "noise": 0.1, "gpus": int64(2), "batch_size": int64(2)},
		Workload:   sdk.Workload{RequestsPerPass: 5, MaxInputTokens: 8, MaxOutputTokens: 4, ExactLengths: true},
		Load:       sdk.LoadShape{Loop: sdk.LoopClosed, Concurrency: 3},
	}
	for _, reading := range []string{"instant", "trailing_mean", "interval_mean"} {
		t.Run(reading, func(t *testing.T) {
			t.Parallel()
			plugintest.Run(t, []string{binary}, plugintest.Options{
				Cell: &cell,
				SourceParameters: sdk.Table{
					"bus": bus, "reading": reading, "wave": "sine", "wave_w": 20.0, "noise": 0.01,
					"domains": []any{"cpu_package", "dram", "gpu", "gpu_memory", "node"},
				},
			})
		})
	}
}
