package docs_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/stats"
)

// printed is a line that tests/gpu/bare_generate.py or peer_optimum_benchmark.py left.
type printed struct {
	Batch int `json:"batch"`
	// By bare_generate.py: tokens/s of each round by arm.
	Rounds struct{ Bare, Worker []float64 } `json:"-"`
	// By peer_optimum_benchmark.py.
	TokensPerS   float64 `json:"-"`
	GPUJPerToken float64 `json:"gpu_j_per_token"`
}

func linesOf(t *testing.T, name string) (lines []printed) {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join("examples/results/h200-pytorch-parts", name))) {
		var p printed
		var speed struct {
			TokensPerS json.RawMessage `json:"tokens_per_s"`
		}
		for _, into := range []any{&p, &speed} {
			if err := json.Unmarshal([]byte(line), into); err != nil {
				t.Fatal(err)
			}
		}
		if json.Unmarshal(speed.TokensPerS, &p.TokensPerS) != nil {
			if err := json.Unmarshal(speed.TokensPerS, &p.Rounds); err != nil {
				t.Fatal(err)
			}
		}
		lines = append(lines, p)
	}
	return lines
}

// The table of the worker beside a plain loop is what the rounds that are stored give.
func TestThePyTorchPageHasTheRatiosOfTheStoredRounds(t *testing.T) {
	rounds := append(linesOf(t, "worker-static-2.jsonl"), linesOf(t, "worker-static.jsonl")...)
	table := rows(read(t, "docs/backends/pytorch.md"), "batch, static cache")
	if len(table) != len(rounds) {
		t.Fatalf("%d rows for %d lines", len(table), len(rounds))
	}
	for i, row := range table {
		bare, worker := rounds[i].Rounds.Bare, rounds[i].Rounds.Worker
		n := len(bare)
		logs := make([]float64, n)
		for k := range bare {
			logs[k] = math.Log(worker[k] / bare[k])
		}
		half := stats.TQuantile(0.975, float64(n-1)) * stats.StdDev(logs) / math.Sqrt(float64(n))
		mean := stats.Mean(logs)
		batch, _, _ := strings.Cut(row[0], ",")
		agree(t, row[0], batch, float64(rounds[i].Batch))
		agree(t, row[0]+", rounds", row[1], float64(n))
		agree(t, row[0]+", plain loop", row[2], stats.Mean(bare), slices.Min(bare), slices.Max(bare))
		agree(t, row[0]+", worker", row[3], stats.Mean(worker), slices.Min(worker), slices.Max(worker))
		agree(t, row[0]+", ratio", row[4], math.Exp(mean), math.Exp(mean-half), math.Exp(mean+half))
	}
}

// So are the figures of optimum-benchmark.
func TestThePyTorchPageHasThePeersFigures(t *testing.T) {
	peers := linesOf(t, "optimum-benchmark-2.jsonl")
	table := rows(read(t, "docs/backends/pytorch.md"), "batch, another machine")
	if len(table) != len(peers) {
		t.Fatalf("%d rows for %d lines", len(table), len(peers))
	}
	for i, row := range table {
		agree(t, "peer's batch", row[0], float64(peers[i].Batch))
		agree(t, "peer's tokens/s, batch "+row[0], row[4], peers[i].TokensPerS)
		agree(t, "peer's J/token, batch "+row[0], row[5], peers[i].GPUJPerToken)
	}
}
