package energy

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuilderCountsWhatItRefuses(t *testing.T) {
	b, err := NewBuilder(watts(ReadingInstant))
	if err != nil {
		t.Fatal(err)
	}
	b.Append(Batch{Sequence: 0, StampsNs: []int64{-1, 100, 100, 100, 50, 200}, Values: []int64{1, 1, 1, 2, 1, 1}, CompleteUntilNs: 200})
	b.Append(Batch{Sequence: 3, StampsNs: []int64{150, 300, 400}, Values: []int64{1, 1}, CompleteUntilNs: 190})
	b.Append(Batch{Sequence: 3, Dropped: 7, CompleteUntilNs: 300})
	b.Append(Batch{Sequence: 4, StampsNs: []int64{300, 500}, Values: []int64{1, 1}, CompleteUntilNs: 600})
	b.Append(Batch{Sequence: 5, StampsNs: []int64{550}, Values: []int64{1}})
	tr := b.Snapshot()

	want := []Sample{{100, 1, 0}, {200, 1, 0}, {300, 1, 0}, {500, 1, 0}, {550, 1, 0}}
	if d := cmp.Diff(want, tr.Samples()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Gap{{FromNs: 200, ToNs: 300, Lost: 7}}, tr.Gaps()); d != "" {
		t.Error(d)
	}
	counts := map[string]uint64{}
	for _, p := range tr.problems {
		counts[p.code] = p.count
	}
	if d := cmp.Diff(map[string]uint64{
		CodeBadStamp: 1, CodeDuplicate: 1, CodeConflict: 1, CodeStampsBackwards: 1, CodeSequenceGap: 2, CodeSequenceRepeat: 1,
		CodeBatchShape: 3, CodeDropped: 7, CodeWatermark: 3,
	}, counts); d != "" {
		t.Error(d)
	}
	if len(tr.Warnings()) != len(counts) || tr.Dropped != 7 || tr.CompleteUntilNs != 600 {
		t.Errorf("%d warnings, %d dropped, complete until %d", len(tr.Warnings()), tr.Dropped, tr.CompleteUntilNs)
	}
}

// A loss is seen in the window even where the samples are close together.
func TestLossTakesCoverage(t *testing.T) {
	b, err := NewBuilder(watts(ReadingInstant))
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(10) {
		ns := int64(seq) * 200e6
		batch := Batch{Sequence: seq, StampsNs: []int64{ns, ns + 100e6}, Values: []int64{5000, 5000}, CompleteUntilNs: ns + 100e6}
		if seq == 5 {
			batch.Dropped = 3
		}
		b.Append(batch)
	}
	w, err := b.Snapshot().Window(0, 1.9e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "coverage", w.CoverageRatio, quarter*(1-0.1/1.9), 1e-9)
	near(t, "energy", w.EnergyJ, 9.5, 1e-9)
	if !code(w, CodeSampleGap) || !code(w, CodeDropped) {
		t.Errorf("%+v", w.Warnings)
	}
	before, err := b.Snapshot().Window(0, 0.8e9)
	if err != nil || code(before, CodeSampleGap) || code(before, CodeDropped) {
		t.Errorf("a window before the loss: %+v, %v", before.Warnings, err)
	}
}

func TestEpochBackwardsIsAChange(t *testing.T) {
	tr := trace(t, joules(), 1e9, Sample{0, 10, 2}, Sample{1e8, 20, 1}, Sample{2e8, 30, 1})
	if len(tr.Warnings()) != 1 || tr.Warnings()[0].Code != CodeEpochBackwards {
		t.Error(tr.Warnings())
	}
	if _, err := tr.Window(0, 2e8); wrong(err, CodeEpochChange) {
		t.Error(err)
	}
}

// Snapshots stay as they were while the stream goes on (run with -race).
func TestSnapshotsAreStill(t *testing.T) {
	b, err := NewBuilder(watts(ReadingInstant))
	if err != nil {
		t.Fatal(err)
	}
	b.Append(Batch{StampsNs: []int64{0}, Values: []int64{1000}})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := uint64(1); i <= 2000; i++ {
			ns := int64(i) * 100e6
			b.Append(Batch{Sequence: i, StampsNs: []int64{ns}, Values: []int64{1000}, CompleteUntilNs: ns})
		}
	}()
	for range 200 {
		tr := b.Snapshot()
		s := tr.Samples()
		if n := len(s); n > 1 {
			w, err := tr.Window(0, s[n-1].MonoNs)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "1 W", w.MeanPowerW, 1, 1e-9)
		}
	}
	wg.Wait()
	if n := len(b.Snapshot().Samples()); n != 2001 {
		t.Errorf("%d samples", n)
	}
}

// Ten million samples: a window must not walk or copy what lies outside it.
func TestTenMillionSamples(t *testing.T) {
	const n = 10_000_000
	for _, d := range []Domain{watts(ReadingInstant), joules()} {
		samples := make([]Sample, n)
		for i := range samples {
			samples[i] = Sample{MonoNs: int64(i) * 100e6, Value: 300_000}
			if d.Reading == ReadingCounter {
				samples[i].Value = int64(i) * 30_000
			}
		}
		// The check of order is Builder's and is tested above; here the size matters.
		tr := &Trace{Domain: d, CompleteUntilNs: n * 100e6, samples: samples, periodNs: 100e6}
		from := int64(n/2)*100e6 + 1
		var w Window
		var err error
		if a := testing.AllocsPerRun(5, func() { w, err = tr.Window(from, from+10e9) }); a > 4 {
			t.Errorf("%s: %g allocations for a window of 100 samples", d.Reading, a)
		}
		if err != nil {
			t.Fatal(err)
		}
		near(t, "300 W", w.EnergyJ, 3000, 1e-9)
		// Spoiling all samples outside must not change a bit: they are not read,
		// beyond the neighbours of the edges and the probes of the search (stamps).
		for i := range samples {
			if ns := samples[i].MonoNs; ns < from-1e9 || ns > from+11e9 {
				samples[i].Value, samples[i].Epoch = -1, 9
			}
		}
		again, err := tr.Window(from, from+10e9)
		if err != nil || cmp.Diff(w, again) != "" {
			t.Errorf("%s: samples outside the window matter: %v %v", d.Reading, again, err)
		}
	}
}

// A missing batch leaves a gap even when the source itself reports no loss.
func TestMissingBatchLeavesAGap(t *testing.T) {
	b, err := NewBuilder(watts(ReadingInstant))
	if err != nil {
		t.Fatal(err)
	}
	b.Append(Batch{Sequence: 0, StampsNs: []int64{0, 100e6}, Values: []int64{1, 1}})
	b.Append(Batch{Sequence: 2, StampsNs: []int64{300e6, 400e6}, Values: []int64{1, 1}})
	if d := cmp.Diff([]Gap{{FromNs: 100e6, ToNs: 300e6}}, b.Snapshot().Gaps()); d != "" {
		t.Error(d)
	}
}

// What is trimmed away is not missed by a window after it, nor by a snapshot
// from before.
func TestTrimBefore(t *testing.T) {
	for _, d := range []Domain{watts(ReadingInstant), joules()} {
		b, err := NewBuilder(d)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(1000) {
			batch := Batch{Sequence: i, StampsNs: []int64{int64(i) * 100e6}, Values: []int64{int64(i+1) * 1000}, CompleteUntilNs: int64(i) * 100e6}
			if i == 300 || i == 900 {
				batch.Dropped = 2
			}
			b.Append(batch)
		}
		before := b.Snapshot()
		b.TrimBefore(50_050e6)
		after := b.Snapshot()
		if s := after.Samples(); len(s) != 500 || s[0].MonoNs != 50e9 || len(before.Samples()) != 1000 {
			t.Errorf("%d samples from %d, %d before", len(s), s[0].MonoNs, len(before.Samples()))
		}
		if d := cmp.Diff([]Gap{{FromNs: 899 * 100e6, ToNs: 90e9, Lost: 2}}, after.Gaps()); d != "" {
			t.Error(d)
		}
		for _, span := range [][2]int64{{50_050e6, 60e9}, {89e9, 95e9}} {
			want, err := before.Window(span[0], span[1])
			if err != nil {
				t.Fatal(err)
			}
			got, err := after.Window(span[0], span[1])
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%v: %s, %v", span, d, err)
			}
		}
		b.Append(Batch{Sequence: 1000, StampsNs: []int64{100e9}, Values: []int64{1e6}})
		b.TrimBefore(0)
		b.TrimBefore(200e9)
		if s := b.Snapshot().Samples(); len(s) != 1 || s[0].MonoNs != 100e9 || len(b.Snapshot().Warnings()) != 0 {
			t.Errorf("%v, %v", s, b.Snapshot().Warnings())
		}
		if len(before.Samples()) != 1000 || before.Samples()[999].Value != 1_000_000 {
			t.Error("a snapshot has changed")
		}
	}
}
