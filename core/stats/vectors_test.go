package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// vectors decodes one key of the reference file made with numpy and scipy.
func vectors[T any](t *testing.T, key string) T {
	t.Helper()
	raw, err := os.ReadFile("testdata/stat_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(file[key], &out); err != nil {
		t.Fatalf("vector %q: %v", key, err)
	}
	return out
}

// near compares with the vectors' tolerance: relative, and absolute where the
// value is about zero.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tol*math.Max(math.Abs(want), 1e-3) {
		t.Errorf("%s = %.17g, want %.17g (off by %.3g)", what, got, want, got-want)
	}
}

func sample(t *testing.T, name string) []float64 {
	t.Helper()
	x := vectors[map[string][]float64](t, "samples")[name]
	if x == nil {
		t.Fatalf("no sample %q in the vectors", name)
	}
	return x
}
