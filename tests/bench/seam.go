package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// seamFigures maps what the benchmarks of sdk/host report to figures.
var seamFigures = []struct {
	benchmark, metric string
	figure            figure
	scale             float64
}{
	{"BenchmarkUnaryCall", "p50-us", figure{name: "plugin call, p50", unit: "ms", limit: 0.25}, 1e-3},
	{"BenchmarkUnaryCall", "p99-us", figure{name: "plugin call, p99", unit: "ms"}, 1e-3},
	{"BenchmarkStart", "p50-us", figure{name: "exec to the first answer, p50", unit: "ms", limit: 20}, 1e-3},
	{"BenchmarkStart", "p99-us", figure{name: "exec to the first answer, p99", unit: "ms"}, 1e-3},
	{"BenchmarkTokens", "host-cpu-ns/token", figure{name: "CPU of the host for a token", unit: "us", limit: 1, note: "a stamp for each token"}, 1e-3},
	{"BenchmarkTokens", "tokens/s", figure{name: "tokens through the seam", unit: "M/s"}, 1e-6},
}

// seam runs the benchmarks of package host: calls between two real processes.
func seam() ([]figure, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark(UnaryCall|Start|Tokens)$", "-benchtime", "3s", "./host")
	cmd.Dir = "sdk"
	text, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmarks of sdk/host: %w: %s", err, text)
	}
	var list []figure
	for _, wanted := range seamFigures {
		value, ok := metric(text, wanted.benchmark, wanted.metric)
		if !ok {
			return list, fmt.Errorf("benchmarks of sdk/host: %s did not report %s:\n%s", wanted.benchmark, wanted.metric, text)
		}
		f := wanted.figure
		f.value = value * wanted.scale
		list = append(list, f)
	}
	return list, nil
}

// metric finds "value name" in the line of one benchmark.
func metric(text []byte, benchmark, name string) (float64, bool) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || !strings.HasPrefix(fields[0], benchmark) {
			continue
		}
		for i := 1; i < len(fields); i++ {
			if fields[i] == name {
				value, err := strconv.ParseFloat(fields[i-1], 64)
				return value, err == nil
			}
		}
	}
	return 0, false
}
