package main

import (
	"fmt"
	"os/exec"
	"slices"
	"time"
)

const (
	dryRunTimes   = 60
	dryRunLimitMs = 20
)

// dryRuns times whole processes of `llem run --dry-run`, after one that fills
// the caches of schemas and verdicts.
func dryRuns() ([]figure, error) {
	var took []time.Duration
	for i := range dryRunTimes + 1 {
		cmd := exec.Command("build/llem", "run", "--dry-run", "--plugin-dir", "build/plugins", "examples/quickstart.toml")
		begin := time.Now()
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("dry run: %w: %s", err, text)
		}
		if i > 0 {
			took = append(took, time.Since(begin))
		}
	}
	return []figure{
		{name: "llem run --dry-run, p50", unit: "ms", value: ms(quantile(took, 0.5)), limit: dryRunLimitMs},
		{name: "llem run --dry-run, p95", unit: "ms", value: ms(quantile(took, 0.95))},
	}, nil
}

func quantile(took []time.Duration, share float64) time.Duration {
	slices.Sort(took)
	return took[int(share*float64(len(took)-1))]
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
