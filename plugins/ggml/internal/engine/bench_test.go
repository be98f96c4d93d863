package engine

import (
	"testing"
	"time"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/sdk"
)

// BenchmarkBatch runs the quickstart's workload, 4 sequences of 128 + 64
// tokens on one thread, and splits it at the end of the prompts.
func BenchmarkBatch(b *testing.B) {
	shape, err := dummy.ByID("llem/random-small")
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range dummy.WeightTypes() {
		b.Run(string(w), func(b *testing.B) {
			file, err := dummy.Ensure(b.TempDir(), shape, w, seed)
			if err != nil {
				b.Fatal(err)
			}
			e := load(b, file.Path, Options{Threads: 1, KVType: KVF16, Context: 192, BatchSize: 4})
			var prefill, decode time.Duration
			var prompts, outputs int
			for b.Loop() {
				begin := sdk.MonoNow()
				var middle, end int64
				job := Job{InFlight: 4, PrefillFirst: true, Done: func(r Result) { end = r.LastNs }}
				job.Prefilled = func() { middle = sdk.MonoNow() }
				next := 0
				job.Next = func() (Request, bool) {
					next++
					return Request{Prompt: prompt(next, 128, shape.Vocab), MaxTokens: 64}, next <= 4
				}
				if err := e.Serve(b.Context(), job); err != nil {
					b.Fatal(err)
				}
				prefill += time.Duration(middle - begin)
				decode += time.Duration(end - middle)
				prompts, outputs = prompts+4*128, outputs+4*63
			}
			b.ReportMetric(float64(prompts)/prefill.Seconds(), "prefill-tok/s")
			b.ReportMetric(float64(outputs)/decode.Seconds(), "decode-tok/s")
		})
	}
}
