package energy

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// vectors decodes one key of the reference file.
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

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tol*math.Max(1e-12, math.Abs(want)) {
		t.Errorf("%s = %.12g, want %.12g (off by %.3g %%)", what, got, want, 100*(got/want-1))
	}
}

// watts is a power domain in milliwatts with a 100 ms period.
func watts(r Reading) Domain {
	return Domain{ID: "gpu0/power", Kind: KindGPU, DeviceIDs: []string{"GPU-0"}, Reading: r, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1000}
}

// watts says nothing of an aperture, so instants of it look at an assumed quarter of
// the time.
const quarter = assumedDuty

// joules is a counter domain in millijoules with a 100 ms period.
func joules() Domain {
	return Domain{ID: "gpu0/counter", Kind: KindGPU, DeviceIDs: []string{"GPU-0"}, Reading: ReadingCounter, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1000}
}

func trace(t testing.TB, d Domain, completeNs int64, samples ...Sample) *Trace {
	t.Helper()
	tr, err := NewTrace(d, samples, completeNs)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func code(w Window, c string) bool {
	for _, x := range w.Warnings {
		if x.Code == c {
			return true
		}
	}
	return false
}
