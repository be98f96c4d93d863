package energy

import (
	"errors"
	"math"
	"testing"
)

// Sensors that do not do what their domains say.

// A sensor that gives fewer samples than it is said to looks at less of the time.
func TestFewerSamplesThanPromised(t *testing.T) {
	d := watts(ReadingInstant)
	d.AveragingNs = 100e6
	every := func(stepNs int64) Window {
		var samples []Sample
		for at := int64(1e9); at < 12e9; at += stepNs {
			samples = append(samples, Sample{MonoNs: at, Value: 300_000})
		}
		w, err := trace(t, d, 12e9, samples...).Window(1.05e9, 11.05e9)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	if w := every(102e6); w.CoverageRatio < 0.98 || w.AliasRel != 0 || code(w, CodeDutySampled) {
		t.Errorf("a sensor that is 2 %% slow: %+v", w)
	}
	w := every(200e6)
	near(t, "coverage", w.CoverageRatio, 0.51, 1e-9)
	near(t, "aliasing", w.AliasRel, aliasRel(0.51), 1e-9)
	if !code(w, CodeDutySampled) || w.Fatal() {
		t.Errorf("%+v", w.Warnings)
	}
	d.AveragingNs = 1e9 // averages that overlap see all of it
	if w := every(200e6); w.CoverageRatio != 1 || code(w, CodeDutySampled) {
		t.Errorf("overlapping averages: %+v", w)
	}
}

// A value that is read more often than it is made may be as old as its period.
func TestReadsFasterThanTheSensor(t *testing.T) {
	d := watts(ReadingInstant)
	d.AveragingNs = 100e6
	var samples []Sample
	for at := int64(1e9); at < 4e9; at += 10e6 {
		samples = append(samples, Sample{MonoNs: at, Value: 300_000})
	}
	w, err := trace(t, d, 4e9, samples...).Window(2.05e9, 3.05e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "random error", w.RandomRel, 0.1/math.Sqrt(6), 1e-9)
}

// What a source lost after its last sample is lost, though nothing shows yet when
// its next sample will be. Silence then does not say that the value held.
func TestLossBehindTheLastSample(t *testing.T) {
	d := watts(ReadingInstant)
	d.AveragingNs, d.ChangesOnly = 100e6, true
	for name, loss := range map[string]Batch{
		"dropped": {Sequence: 1, Dropped: 40, CompleteUntilNs: 12e9},
		"missing": {Sequence: 3, CompleteUntilNs: 12e9},
		"damaged": {Sequence: 1, CompleteUntilNs: 12e9, StampsNs: []int64{3e9, 4e9}, Values: []int64{1}},
	} {
		b, err := NewBuilder(d)
		if err != nil {
			t.Fatal(err)
		}
		b.Append(Batch{CompleteUntilNs: 1e9, StampsNs: []int64{1e9}, Values: []int64{300_000}})
		silent, after := loss, Batch{Sequence: loss.Sequence + 1, CompleteUntilNs: 13e9}
		b.Append(silent)
		b.Append(after)
		judge := func(when string, tr *Trace) {
			w, err := tr.Window(2e9, 10e9)
			if err != nil || w.CoverageRatio != 0 || !w.Fatal() || !code(w, CodeSampleGap) {
				t.Errorf("%s, %s: %+v, %v", name, when, w, err)
			}
		}
		s := b.Snapshot()
		judge("at once", s)
		again, err := Restore(Stored{Domain: s.Domain, CompleteUntilNs: s.CompleteUntilNs, Samples: s.Samples(), Gaps: s.Gaps(), Problems: s.Problems()})
		if err != nil {
			t.Fatal(err)
		}
		judge("restored", again)
		b.TrimBefore(1.9e9)
		judge("trimmed", b.Snapshot())
	}
}

// A loss is noted where it happened, also by a source that gives no watermark until
// later.
func TestALossBeforeAnyWatermark(t *testing.T) {
	b, err := NewBuilder(watts(ReadingIntervalMean))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(40) {
		batch := Batch{Sequence: uint64(i), StampsNs: []int64{1e9 + i*100e6}, Values: []int64{300_000}}
		if i == 20 {
			batch.Dropped = 3
		}
		b.Append(batch)
	}
	b.Append(Batch{Sequence: 40, CompleteUntilNs: 4.9e9})
	for from, lost := range map[int64]bool{1.5e9: false, 2.5e9: true, 3.5e9: false} {
		if w, err := b.Snapshot().Window(from, from+1e9); err != nil || code(w, CodeDropped) != lost {
			t.Errorf("from %d: %+v, %v", from, w.Warnings, err)
		}
	}
}

// Which value belongs to which stamp nobody knows where their numbers differ.
func TestStampsWithoutTheirValues(t *testing.T) {
	b, err := NewBuilder(watts(ReadingIntervalMean))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		batch := Batch{Sequence: uint64(i), CompleteUntilNs: i*200e6 + 100e6, StampsNs: []int64{i * 200e6, i*200e6 + 100e6}, Values: []int64{300_000, 300_000}}
		if i == 10 {
			batch.Values = []int64{900_000}
		}
		b.Append(batch)
	}
	w, err := b.Snapshot().Window(1e9, 3e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", w.EnergyJ, 600, 1e-9)
	near(t, "coverage", w.CoverageRatio, 0.85, 1e-9)
	if !code(w, CodeBatchShape) || !code(w, CodeSampleGap) {
		t.Errorf("%+v", w.Warnings)
	}
}

// A window that only more waiting can complete is not one that nothing can.
func TestAShortWindowOfALongAverageWaits(t *testing.T) {
	d := watts(ReadingTrailingMean)
	d.AveragingNs = 1e9
	var samples []Sample
	for at := int64(1e9); at <= 4e9; at += 100e6 {
		samples = append(samples, Sample{MonoNs: at, Value: 300_000})
	}
	if _, err := trace(t, d, 3e9, samples[:21]...).Window(2.5e9, 3e9); !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
	w, err := trace(t, d, 4e9, samples...).Window(2.5e9, 3e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", w.EnergyJ, 150, 1e-9)
	if _, err := trace(t, d, 4e9, samples[:21]...).Window(2.5e9, 3e9); !errors.Is(err, ErrInvalid) {
		t.Errorf("a source that is complete and silent: %v", err)
	}
}

// Where nobody says how often a sensor looks, a change may be as late as the change
// before it.
func TestChangesOfASensorThatStatesNoPeriod(t *testing.T) {
	d := watts(ReadingInstant)
	d.ChangesOnly, d.UpdateNs = true, 0
	var samples []Sample
	for i := int64(0); i <= 100; i++ {
		samples = append(samples, Sample{MonoNs: i * 100e6, Value: 300_000 + i%2})
	}
	w, err := trace(t, d, 10e9, samples...).Window(2.05e9, 4.05e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "random error", w.RandomRel, 0.05/math.Sqrt(6), 1e-9)
}

// A restart before a window, or behind it, is none in it.
func TestARestartBesideTheWindow(t *testing.T) {
	mean := watts(ReadingTrailingMean)
	mean.AveragingNs = 1e9
	for _, d := range []Domain{mean, watts(ReadingInstant), watts(ReadingIntervalMean), joules()} {
		var samples []Sample
		for i := int64(0); i <= 200; i++ {
			s := Sample{MonoNs: i * 100e6, Value: 300_000}
			if i >= 50 {
				s.Epoch = 1
			}
			if i >= 150 {
				s.Epoch = 2
			}
			if d.Reading == ReadingCounter {
				s.Value = 30_000 * (1 + i - []int64{0, 50, 150}[s.Epoch])
			}
			samples = append(samples, s)
		}
		tr := trace(t, d, 20e9, samples...)
		if w, err := tr.Window(7.05e9, 12.55e9); err != nil || math.Abs(w.EnergyJ-1650) > 1 {
			t.Errorf("%s: %v J, %v", d.Reading, w.EnergyJ, err)
		}
		for _, span := range [][2]int64{{3e9, 12e9}, {7e9, 17e9}} {
			if _, err := tr.Window(span[0], span[1]); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s over a restart: %v", d.Reading, err)
			}
		}
	}
}

// The rest behind the last whole average is taken from the average that ends with
// the window: it is known where it is nothing or nearly all of it, and least between.
func TestTheRestOfATiledWindow(t *testing.T) {
	d := watts(ReadingTrailingMean)
	d.AveragingNs = 1e9
	var samples []Sample
	for i := int64(0); i <= 200; i++ {
		samples = append(samples, Sample{MonoNs: i * 100e6, Value: 300_000})
	}
	tr := trace(t, d, 20e9, samples...)
	for rest, share := range map[int64]float64{0: 0, 500e6: 0.25, 900e6: 0.09} {
		w, err := tr.Window(5e9, 10e9+rest)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "random error", w.RandomRel, math.Sqrt((0.01+0.01+share*share)/12)/w.DurationS(), 1e-9)
	}
}

// A window of idle whose end lies beside a burst is known no better than what the
// burst draws while a sample lasts, whatever the phase.
func TestAnEdgeBesideABurst(t *testing.T) {
	const idle, busy, step = 70.0, 700.0, int64(20e6)
	d := watts(ReadingIntervalMean)
	d.UpdateNs = step
	for begin := int64(10e9); begin < 10.02e9; begin += 1e6 { // of the burst
		used := func(until int64) float64 { return idle*seconds(until) + (busy-idle)*seconds(max(0, until-begin)) }
		var samples []Sample
		for at := step; at <= 12e9; at += step {
			samples = append(samples, Sample{MonoNs: at, Value: int64(1000 * (used(at) - used(at-step)) / seconds(step))})
		}
		tr := trace(t, d, 12e9, samples...)
		var squares, stated float64
		const n = 20
		for k := range int64(n) {
			from, to := int64(4e9)+k*1e6, int64(10e9)+k*1e6
			w, err := tr.Window(from, to)
			if err != nil {
				t.Fatal(err)
			}
			off := w.EnergyJ - (used(to) - used(from))
			squares += off * off / n
			stated += w.RandomRel * w.EnergyJ * w.RandomRel * w.EnergyJ / n
		}
		if squares > 1.5*stated {
			t.Errorf("a burst %d ms into a sample: off by %.2f J rms, and %.2f J are stated", (begin-10e9)/1e6, math.Sqrt(squares), math.Sqrt(stated))
		}
	}
}
