package host

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// BenchmarkUnaryCall is one Stop without a Run: request, answer, nothing else.
func BenchmarkUnaryCall(b *testing.B) {
	p := mustStart(b, "")
	took := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		begin := time.Now()
		if _, err := p.Stop(b.Context(), sdk.StopDrain); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	report(b, took)
}

// BenchmarkStart is exec to the first answer, Describe with its checks.
func BenchmarkStart(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		p, err := start(b, "", Options{})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
		p.Kill()
	}
	report(b, took)
}

// BenchmarkTokens streams completions with a stamp for each token and gives
// the host's CPU time for one.
func BenchmarkTokens(b *testing.B) {
	const requests, tokens = 2000, 256
	p := mustStart(b, "fast")
	if _, err := p.Load(b.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		b.Fatal(err)
	}
	w := work(requests)
	for i := range w.Items {
		w.Items[i].MaxTokens = tokens
	}
	prepared, err := p.Prepare(b.Context(), w)
	if err != nil {
		b.Fatal(err)
	}
	spec := sdk.RunSpec{WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 10, Record: sdk.RecordToken}
	var all int64
	before := cpuTime(b)
	for b.Loop() {
		finished, err := p.Run(b.Context(), spec, func(sdk.RunEvent) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		all += finished.OutputTokens
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(all), "host-cpu-ns/token")
	b.ReportMetric(float64(all)/b.Elapsed().Seconds(), "tokens/s")
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50-us", 0.5}, {"p99-us", 0.99}} {
		b.ReportMetric(float64(quantile(took, q.share).Nanoseconds())/1e3, q.name)
	}
}

func quantile(took []time.Duration, share float64) time.Duration {
	slices.Sort(took)
	return took[int(share*float64(len(took)-1))]
}

// cpuTime is what this process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
