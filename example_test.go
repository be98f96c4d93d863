package llem_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/study"
)

// A study is read, run and read again from its directory. The simulator makes
// 800 tokens in 100.128 ms and draws 80 W.
func Example() {
	spec, err := study.Parse("", []byte(`
name = "example"
backend = "sim"
energy = ["meter"]
model.id = "sim"
workload = {requests = 8, input_tokens = 16, output_tokens = 100}
load.mode = "batch"
protocol = {profile = "quick", warmup = "fast", idle_s = 0, conditioning_s = 0.5, window_s = 2, cycles = 1}
backends.sim.batch_size = 8
sources.meter = {plugin = "sim", power_w = 80.0}
`))
	if err != nil {
		log.Fatal(err)
	}
	results, err := os.MkdirTemp("", "llem-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(results)
	r, err := llem.RunExperiment(context.Background(), llem.Experiment{
		Spec:     spec,
		Settings: llem.Settings{PluginDirs: []string{pluginDir}, ResultsDir: results},
	})
	if err != nil {
		log.Fatal(err)
	}
	joules, _ := r.Cell.Estimate("energy_per_output_token")
	fmt.Printf("%d trial, J/token within 3 %% of 0.01001: %t\n", len(r.Trials), math.Abs(joules.Centre/0.01001-1) < 0.03)
	// Output: 1 trial, J/token within 3 % of 0.01001: true
}
