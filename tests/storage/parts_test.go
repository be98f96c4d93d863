package main

import (
	"math"
	"testing"
)

// An hour of two GPUs keeps to the bytes, and the slice read back has the joules
// that went in.
func TestAnHour(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	written, err := write(dir, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(written.Bytes) / float64(written.Samples); got > mostBytesASample || written.Samples < 2*3500*50 {
		t.Errorf("%d samples of %.2f bytes", written.Samples, got)
	}
	slice, err := read(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The same minute, drawn again.
	steps, err := ring()
	if err != nil {
		t.Fatal(err)
	}
	from, want := beginNs+int64(1800e9), 0.0
	for i := range 2 {
		g := newGPU(steps, i)
		for before := g.ns; before < from+60e9; before = g.ns {
			s := g.next()
			inside := min(s.MonoNs, from+60e9) - max(before, from)
			want += float64(s.Value) / 1000 * float64(max(0, inside)) / 1e9
		}
	}
	if math.Abs(slice.Joules-want) > 1e-9*want {
		t.Errorf("%v J in the slice, %v J were written", slice.Joules, want)
	}
}
