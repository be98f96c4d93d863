package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

const results = "../../../examples/results"

// storedFigures are those of docs/accuracy/gpu.json that have a value.
func storedFigures(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile("../../../docs/accuracy/gpu.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Figures []struct {
			Target, Name string
			Value        *float64
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range file.Figures {
		if f.Value != nil {
			out[f.Target+" "+f.Name] = *f.Value
		}
	}
	return out
}

// Each figure of the accuracy page that a GPU gave comes out of the results that are
// stored, by today's code.
func TestStoredFiguresComeFromStoredResults(t *testing.T) {
	want := map[string]float64{}
	perToken, worstRatio := steady(t)
	want["T3 CV of J/token, 5 fresh starts, window 11 s"] = 100 * stats.CV(perToken)
	want[fmt.Sprintf("T3 worst ring/counter - 1 over a Run, %d Runs", len(perToken))] = 100 * worstRatio
	for _, part := range []string{"long", "short"} {
		dir := filepath.Join(results, "h100-zeus-"+part)
		c, err := compare(dir, filepath.Join(dir, "zeus.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		windows := fmt.Sprintf("%d windows of %.1f s", len(c.seconds), stats.Mean(c.seconds))
		if part == "short" {
			windows = fmt.Sprintf("%d windows of %.2f s", len(c.seconds), stats.Mean(c.seconds))
		}
		mean, worst := c.ring.over(c.zeus)
		want["T5 llem/Zeus - 1, mean of "+windows] = 100 * (mean - 1)
		if part == "long" {
			want["T5 llem/Zeus - 1, worst of those windows"] = 100 * (worst - 1)
		}
		timed := fmt.Sprintf("T5 CV of %s (time %.2f %%), ", windows, 100*stats.CV(c.seconds))
		want[timed+"llem"] = 100 * stats.CV(c.ring.joules)
		want[timed+"Zeus"] = 100 * stats.CV(c.zeus.joules)
	}
	want["sampler observer effect: energy of a load with llem watching, over that without, - 1"] = 100 * (observerEffect(t).Ratio - 1)
	stored := storedFigures(t)
	for name, value := range want {
		if got, ok := stored[name]; !ok || math.Abs(got-value) > 0.0051 {
			t.Errorf("%s: gpu.json has %v (%v), the results give %.4f", name, got, ok, value)
		}
	}
	if len(want) != 10 {
		t.Errorf("%d figures were worked out", len(want))
	}
}

// steady gives the J/token of each load of h100-steady, and how far the ring was
// from the counter over the worst of its Runs, both from the recordings.
func steady(t *testing.T) (perToken []float64, worst float64) {
	t.Helper()
	dir := filepath.Join(results, "h100-steady")
	trials, _, problems := result.ReadTrials(dir)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	for _, trial := range trials {
		traces, err := result.ReadPower(filepath.Join(dir, trial.Dir))
		if err != nil {
			t.Fatal(err)
		}
		run := trial.Audit[0] // the Run's; the others are its windows'
		w := trial.Windows[0]
		window, err := traces[run.Domain].Window(w.FromNs, w.ToNs)
		if err != nil || run.ToNs-run.FromNs <= w.ToNs-w.FromNs {
			t.Fatal(err, run)
		}
		perToken = append(perToken, window.EnergyJ/float64(w.OutputTokens))
		if a := gate.Compare(traces[run.Domain], traces[run.Check], run.FromNs, run.ToNs); a.Ratio == nil {
			t.Fatal(a.Reason)
		} else if math.Abs(*a.Ratio-1) > math.Abs(worst) {
			worst = *a.Ratio - 1
		}
	}
	return perToken, worst
}
