package engine

import (
	"fmt"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
)

// Every number format runs, and differs from full precision by what it leaves
// out: not more, and not by nothing, as it would if it were not in use.
func TestNumberFormatsAreInUse(t *testing.T) {
	shape := tinyShape(t)
	ids := prompt(1, 24, shape.Vocab)
	want := newReference(shape, true).logits(ids)
	least := map[dummy.WeightType]float64{dummy.F32: 0, dummy.F16: 1e-6, dummy.BF16: 1e-5, dummy.Q8_0: 1e-4, dummy.Q4_0: 1e-3}
	most := map[dummy.WeightType]float64{dummy.F32: tolerance, dummy.F16: 2e-3, dummy.BF16: 1e-2, dummy.Q8_0: 2e-2, dummy.Q4_0: 0.5}
	for _, w := range dummy.WeightTypes() {
		path := tinyFile(t, w)
		for _, flash := range []bool{false, true} {
			for _, kv := range KVTypes() {
				o := Options{Threads: 1, KVType: kv, Context: 64, BatchSize: 1, FlashAttention: flash}
				if kv == KVQ8 {
					continue // this model's heads are too narrow; see below
				}
				t.Run(fmt.Sprint(w, " KV ", kv, " flash attention ", flash), func(t *testing.T) {
					e := load(t, path, o)
					logits, err := e.forward(rowsOf(0, 0, ids))
					if err != nil {
						t.Fatal(err)
					}
					low, high := least[w], most[w]
					if kv == KVF16 {
						high += most[dummy.F16]
					}
					if worst := farthest(want, logits); worst < low || worst > high {
						t.Errorf("a logit is off by %g; expected are %g to %g", worst, low, high)
					}
					if m := e.Memory(); m.Weights < shape.Bytes(w) || m.KVCache != o.KVCells()*e.Facts.KVBytesPerToken(kv) {
						t.Errorf("memory %+v; weights take %d bytes and the cache %d", m, shape.Bytes(w), o.KVCells()*e.Facts.KVBytesPerToken(kv))
					}
				})
			}
		}
	}
}

func TestQuantisedKVCache(t *testing.T) {
	shape := tinyShape(t)
	shape.Heads, shape.KVHeads = 2, 1 // heads of 32
	file, err := dummy.Ensure(t.TempDir(), shape, dummy.F32, seed)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Threads: 1, KVType: KVQ8, Context: 64, BatchSize: 1, FlashAttention: true}
	e := load(t, file.Path, o)
	ids := prompt(1, 24, shape.Vocab)
	logits, err := e.forward(rowsOf(0, 0, ids))
	if err != nil {
		t.Fatal(err)
	}
	if worst := farthest(newReference(shape, true).logits(ids), logits); worst == 0 || worst > 2e-2 {
		t.Errorf("a logit is off by %g", worst)
	}
}

// What the kernels would abort on is an error before.
func TestProblemsAreFoundBeforeLoading(t *testing.T) {
	path := tinyFile(t, dummy.F32)
	good := exactly(1, 64)
	for key, change := range map[string]func(*Options){
		"threads":    func(o *Options) { o.Threads = 0 },
		"batch_size": func(o *Options) { o.BatchSize = MaxBatchTokens + 1 },
		"context":    func(o *Options) { o.Context = 4097 },
		"kv_type":    func(o *Options) { o.KVType = KVQ8 },
	} {
		o := good
		change(&o)
		facts, err := Inspect(path)
		if err != nil {
			t.Fatal(err)
		}
		problems := facts.Problems(o)
		if len(problems) == 0 || problems[0].Key != key {
			t.Errorf("%s: problems are %v", key, problems)
		}
		if e, err := Open(t.Context(), path, o, nil); err == nil {
			t.Errorf("%s: Open took %+v", key, e.Options)
		}
	}
}
