package energy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A source that goes wrong in the middle of a window from 10 to 20 s: the error names
// what became of its samples, and the doubts have their codes.
func TestAFailedWindowSaysWhatBecameOfItsSamples(t *testing.T) {
	const step = int64(100e6)
	for name, c := range map[string]struct {
		spoil  func(last *Batch, b *Batch) // from 15 s on
		code   string
		detail string // after the distance of the last sample
		codes  []string
	}{
		"zeros": {func(_, b *Batch) { b.Values[0] = 0 }, CodeNotCovered, "samples were left out: zero_samples", []string{CodeZeroSample}},
		"repeats": {func(last, b *Batch) { b.StampsNs, b.Values = last.StampsNs, last.Values }, CodeNotCovered,
			"samples were left out: duplicate_sample", []string{CodeDuplicate}},
		"goes back, and on from there": {func(_, b *Batch) { b.StampsNs[0] -= 1e9 }, CodeNotCovered,
			"samples were left out: stamps_backwards", []string{CodeStampsBackwards, CodeWatermark}},
		"goes far back": {func(_, b *Batch) { b.StampsNs[0] -= 8e9 }, CodeNotCovered,
			"samples were left out: stamps_backwards", []string{CodeStampsBackwards}},
		"loses them itself": {func(_, b *Batch) { b.StampsNs, b.Values, b.Dropped = nil, nil, 1 }, CodeNotCovered,
			"samples were lost by the source: 51, samples_dropped", []string{CodeDropped}},
		"says nothing":          {func(_, b *Batch) { b.StampsNs, b.Values = nil, nil }, CodeNotCovered, "", nil},
		"its watermark is back": {func(last, b *Batch) { b.CompleteUntilNs = last.CompleteUntilNs - 1 }, CodeIncomplete, "samples or watermarks arrived behind the watermark", []string{CodeWatermark}},
	} {
		t.Run(name, func(t *testing.T) {
			d := watts(ReadingInstant)
			d.UpdateNs = step
			b, err := NewBuilder(d)
			if err != nil {
				t.Fatal(err)
			}
			// A repeat long before the window has nothing to do with it.
			var last Batch
			for i := range int64(201) {
				ns := i * step
				next := Batch{Sequence: uint64(i), StampsNs: []int64{ns}, Values: []int64{5000}, CompleteUntilNs: ns}
				if i == 10 {
					next.StampsNs, next.Values = []int64{ns, ns, ns}, []int64{5000, 5000, 6000}
				}
				if ns >= 15e9 {
					c.spoil(&last, &next)
				} else {
					last = next
				}
				b.Append(next)
			}
			tr := b.Snapshot()
			w, err := tr.Window(10e9, 20e9)
			var why *WindowError
			if !errors.As(err, &why) || why.Code != c.code {
				t.Fatalf("%+v, %v", w, err)
			}
			if _, after, found := strings.Cut(why.Detail, "; "); found != (c.detail != "") || !strings.Contains(after, c.detail) {
				t.Errorf("the error is %v, want %q", err, c.detail)
			}
			var codes []string
			for _, w := range why.Warnings {
				if codes = append(codes, w.Code); w.Domain != d.ID || w.Message == "" {
					t.Errorf("%+v", w)
				}
			}
			for _, code := range c.codes {
				if !slices.Contains(codes, code) {
					t.Errorf("codes %v, want %s", codes, code)
				}
			}
			if slices.Contains(codes, CodeConflict) || len(c.codes) == 0 && len(codes) > 0 {
				t.Errorf("codes %v of another time", codes)
			}
			again, err := tr.Window(10e9, 20e9)
			if other := new(WindowError); !errors.As(err, &other) || other.Detail != why.Detail || len(other.Warnings) != len(why.Warnings) {
				t.Errorf("asked again: %+v, %v", again, err)
			}
		})
	}
	// Where nothing but refused samples lies in the window its code says so, once.
	d := watts(ReadingInstant)
	tr := trace(t, d, 20e9, Sample{MonoNs: 1e9, Value: 5000}, Sample{MonoNs: 11e9}, Sample{MonoNs: 12e9})
	_, err := tr.Window(10e9, 13e9)
	if why := new(WindowError); !errors.As(err, &why) || why.Code != CodeZeroSample || strings.Contains(why.Detail, "left out") || len(why.Warnings) != 1 {
		t.Errorf("%v", err)
	}
}
