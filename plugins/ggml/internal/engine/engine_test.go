package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
)

// seed of all models under test.
const seed = 1

func tinyShape(t testing.TB) dummy.Shape {
	t.Helper()
	shape, err := dummy.ByID("llem/random-tiny")
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

// tinyFile writes the tiny model.
func tinyFile(t testing.TB, w dummy.WeightType) string {
	t.Helper()
	file, err := dummy.Ensure(t.TempDir(), tinyShape(t), w, seed)
	if err != nil {
		t.Fatal(err)
	}
	return file.Path
}

// exactly computes in full precision, for comparisons.
func exactly(batchSize, context int) Options {
	return Options{Threads: 1, KVType: KVF32, Context: context, BatchSize: batchSize}
}

// load opens a model and closes it at the test's end.
func load(t testing.TB, path string, o Options) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// prompt makes up n tokens; the same for the same which.
func prompt(which, n, vocab int) []uint32 {
	random := rand.New(rand.NewPCG(uint64(which), 7))
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(random.IntN(vocab))
	}
	return ids
}
