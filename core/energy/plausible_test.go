package energy

import (
	"math"
	"testing"
)

// Zeros and damaged values among good samples cost coverage, and no joules.
func TestSamplesThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		value int64
		every int
		code  string
	}{
		"a zero in 25":     {0, 25, CodeZeroSample},
		"a zero in 3":      {0, 3, CodeZeroSample},
		"the largest":      {math.MaxInt64, 25, CodeImplausible},
		"a megawatt in 25": {1e9, 25, CodeImplausible},
	} {
		d := watts(ReadingIntervalMean)
		d.UpdateNs = 20e6
		var s []Sample
		for i := range int64(1000) {
			v := int64(300e3)
			if i%int64(c.every) == 7%int64(c.every) {
				v = c.value
			}
			s = append(s, Sample{MonoNs: i * 20e6, Value: v})
		}
		w, err := trace(t, d, 30e9, s...).Window(1e9, 19e9)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		near(t, name, w.EnergyJ, 300*18, 1e-9)
		if !code(w, c.code) || w.CoverageRatio > 1-0.9/float64(c.every) {
			t.Errorf("%s: coverage %g, %+v", name, w.CoverageRatio, w.Warnings)
		}
	}
}

// flat is a recording of 20 s of 300 W in steps of 20 ms, with values of its own at
// some samples.
func flat(t *testing.T, d Domain, other map[int64]int64) *Trace {
	t.Helper()
	var s []Sample
	for i := range int64(1000) {
		v := int64(300e3)
		if x, ok := other[i]; ok {
			v = x
		}
		s = append(s, Sample{MonoNs: i * 20e6, Value: v})
	}
	return trace(t, d, 30e9, s...)
}

// One sample below 100 kW is more energy than all others of a window. It is lost if
// its source says what the domain can draw, or if it stands far out of its
// neighbours.
func TestSamplesThatStandOut(t *testing.T) {
	for name, c := range map[string]struct {
		mostW  float64
		kind   string
		values map[int64]int64
		code   string
	}{
		"99 kW among 300 W":        {0, KindGPU, map[int64]int64{500: 99e6}, CodeImplausible},
		"31 kW, 15 in a row":       {0, KindGPU, run(500, 15, 31e6), CodeImplausible},
		"31 kW, first and last":    {0, KindGPU, map[int64]int64{50: 31e6, 949: 31e6}, CodeImplausible},
		"3 kW of a card of 700 W":  {2100, KindGPU, map[int64]int64{500: 3e6}, CodeImplausible},
		"50 kW of a memory":        {0, KindGPUMemory, map[int64]int64{500: 50e6}, CodeImplausible},
		"500 kW of a node":         {0, KindNode, map[int64]int64{500: 500e6}, CodeImplausible},
		"50 MW of an unknown kind": {0, "", map[int64]int64{500: 50e9}, CodeImplausible},
		"a milliwatt":              {0, KindGPU, run(500, 10, 1), CodeZeroSample},
		"every 10th 0 W, one 2^63": {0, KindGPU, map[int64]int64{100: 0, 110: 0, 120: 0, 500: math.MaxInt64}, CodeZeroSample},
	} {
		d := watts(ReadingIntervalMean)
		d.UpdateNs, d.MostPowerW, d.Kind = 20e6, c.mostW, c.kind
		tr := flat(t, d, c.values)
		w, err := tr.Window(1e9, 19e9)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		near(t, name, w.EnergyJ, 300*18, 1e-9)
		if !code(w, c.code) || !code(w, CodeSampleGap) || w.CoverageRatio >= 1 {
			t.Errorf("%s: coverage %g, %+v", name, w.CoverageRatio, w.Warnings)
		}
		if len(tr.Samples()) != 1000 || len(tr.Warnings()) == 0 {
			t.Errorf("%s: %d samples are kept, %v", name, len(tr.Samples()), tr.Warnings())
		}
		clean, err := tr.Window(2e9, 9e9)
		if len(c.values) == 1 && (err != nil || len(clean.Warnings) != 0 || clean.CoverageRatio != 1) {
			t.Errorf("%s: a window beside it: %+v, %v", name, clean, err)
		}
	}
	// Loads may be as steep, and bursts of small devices as high.
	for name, values := range map[string]map[int64]int64{
		"a load of 7 kW beside an idle of 300 W": run(400, 600, 7e6),
		"a burst of 30 kW for half a second":     run(500, 25, 30e6),
		"negative":                               {500: -5},
	} {
		d := watts(ReadingIntervalMean)
		d.UpdateNs = 20e6
		w, err := flat(t, d, values).Window(1e9, 19e9)
		if err != nil || code(w, CodeImplausible) || w.CoverageRatio != 1 {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}

// run is the same value at some samples in a row.
func run(first, count, value int64) map[int64]int64 {
	out := map[int64]int64{}
	for i := range count {
		out[first+i] = value
	}
	return out
}

// A counter must not rise by more than the domain draws in the time since its last
// change and two periods, whatever the kind could; nor by far more at once than
// everywhere else in the window.
func TestCounterJumps(t *testing.T) {
	count := func(jumpJ float64, mostW float64) (Window, error) {
		d := joules()
		d.MostPowerW = mostW
		var s []Sample
		for i := range int64(200) {
			at := float64(300 * 100 * i)
			if i >= 100 {
				at += 1000 * jumpJ
			}
			s = append(s, Sample{MonoNs: i * 100e6, Value: int64(at)})
		}
		return trace(t, d, 30e9, s...).Window(1e9, 19e9)
	}
	for _, c := range []struct{ jumpJ, mostW float64 }{{40e3, 0}, {25e3, 0}, {4e3, 0}, {700, 2100}} {
		if w, err := count(c.jumpJ, c.mostW); wrong(err, CodeImplausible) {
			t.Errorf("%g J at once, of %g W at most: %g J, %v", c.jumpJ, c.mostW, w.EnergyJ, err)
		}
	}
	for _, c := range []struct{ jumpJ, mostW float64 }{{0, 0}, {30, 2100}, {400, 2100}} {
		w, err := count(c.jumpJ, c.mostW)
		if err != nil {
			t.Errorf("%g J at once: %v", c.jumpJ, err)
		}
		near(t, "counted", w.EnergyJ, 300*18+c.jumpJ, 1e-9)
	}
	// A counter that stood still for a second makes up for it.
	d := joules()
	d.MostPowerW = 900
	var s []Sample
	for i := range int64(200) {
		v := 300 * 100 * i
		if i > 90 && i < 100 {
			v = 300 * 100 * 90
		}
		s = append(s, Sample{MonoNs: i * 100e6, Value: v})
	}
	if w, err := trace(t, d, 30e9, s...).Window(1e9, 19e9); err != nil || math.Abs(w.EnergyJ-300*18) > 1e-6 {
		t.Errorf("after a standstill: %+v, %v", w, err)
	}
}

// A window of nothing but zeros is refused by that name, also beside good samples
// and of a recording that is read back; one that holds a value has no zero joules
// of a device that always draws either.
func TestAllZero(t *testing.T) {
	for _, reading := range []Reading{ReadingInstant, ReadingTrailingMean, ReadingIntervalMean} {
		for _, changes := range []bool{false, true} {
			d := watts(reading)
			d.UpdateNs, d.ChangesOnly = 20e6, changes
			if reading == ReadingTrailingMean {
				d.AveragingNs = 20e6
			}
			live := flat(t, d, run(200, 600, 0))
			back, err := Restore(Stored{Domain: d, CompleteUntilNs: 30e9, Samples: live.Samples()})
			if err != nil {
				t.Fatal(err)
			}
			for _, tr := range []*Trace{live, back} {
				if w, err := tr.Window(5e9, 15e9); wrong(err, CodeZeroSample) {
					t.Errorf("%s, changes only %v: %+v, %v", reading, changes, w, err)
				}
				w, err := tr.Window(1e9, 15e9)
				if err != nil || !code(w, CodeZeroSample) || !w.Fatal() || w.CoverageRatio > 0.3 {
					t.Errorf("%s, changes only %v, partly: %+v, %v", reading, changes, w, err)
				}
				if len(tr.Samples()) != 1000 {
					t.Errorf("%d samples are kept", len(tr.Samples()))
				}
			}
		}
	}
	ended := watts(ReadingInstant)
	ended.ChangesOnly = true
	w, err := trace(t, ended, 30e9, Sample{MonoNs: 0, Value: 300e3}, Sample{MonoNs: 2e9, Value: 310e3}, Sample{MonoNs: 10e9}).Window(1e9, 21e9)
	if err != nil || !w.Fatal() || w.CoverageRatio > 0.1 {
		t.Errorf("changes that end with zero: %+v, %v", w, err)
	}
	d := watts(ReadingIntervalMean)
	d.Kind, d.UpdateNs = KindDRAM, 20e6
	if w, err := flat(t, d, run(200, 600, 0)).Window(5e9, 15e9); wrong(err, CodeZeroOrBackwards) {
		t.Errorf("a memory that may rest: %+v, %v", w, err)
	}
}

// A stamp of the far future is refused wherever it comes, and costs what comes after
// it nothing.
func TestAStampOfTheFarFuture(t *testing.T) {
	for name, c := range map[string]struct {
		at     int
		stamp  int64
		marked bool // with watermarks
	}{
		"the first": {0, 1 << 61, true}, "in the middle": {5, 1 << 61, true}, "within 30 days": {5, 10 * 24 * 3600e9, true},
		"two hours": {5, 7200e9, true}, "the first, two hours": {0, 7200e9, true}, "in the middle, no watermark": {5, 7200e9, false},
		"below zero": {5, -1, true}, "the greatest": {0, math.MaxInt64, true},
	} {
		b, err := NewBuilder(watts(ReadingIntervalMean))
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(10) {
			stamp := 1e9 + i*100e6
			mark := stamp
			if int(i) == c.at {
				stamp = c.stamp
			}
			if !c.marked {
				mark = 0
			}
			b.Append(Batch{Sequence: uint64(i), StampsNs: []int64{stamp}, Values: []int64{1000}, CompleteUntilNs: mark})
		}
		s := b.Snapshot()
		if n := len(s.Samples()); n != 9 || s.Samples()[8].MonoNs != 1.9e9 || len(s.Warnings()) != 1 || s.Warnings()[0].Code != CodeBadStamp {
			t.Errorf("%s: %d samples, %v", name, n, s.Warnings())
		}
		if !c.marked {
			continue
		}
		if w, err := s.Window(1.1e9, 1.9e9); err != nil || c.at > 0 && !code(w, CodeBadStamp) {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}

// Where the first batches have no watermark, the first one that comes shows which
// samples were damaged; snapshots keep theirs.
func TestAStampOfTheFarFutureBeforeAnyWatermark(t *testing.T) {
	b, err := NewBuilder(watts(ReadingIntervalMean))
	if err != nil {
		t.Fatal(err)
	}
	b.Append(Batch{StampsNs: []int64{1 << 60}, Values: []int64{7}})
	before := b.Snapshot()
	b.Append(Batch{Sequence: 1, StampsNs: []int64{1e9}, Values: []int64{7}, CompleteUntilNs: 1e9})
	b.Append(Batch{Sequence: 2, StampsNs: []int64{1.1e9}, Values: []int64{7}, CompleteUntilNs: 1.1e9})
	after := b.Snapshot()
	if s := before.Samples(); len(s) != 1 || s[0].MonoNs != 1<<60 {
		t.Errorf("the snapshot has %v", s)
	}
	if s := after.Samples(); len(s) != 2 || s[0].MonoNs != 1e9 || len(after.Warnings()) != 1 || after.Warnings()[0].Code != CodeBadStamp {
		t.Errorf("%v, %v", s, after.Warnings())
	}
	b.Append(Batch{Sequence: 3, StampsNs: []int64{1<<60 + 1, 1.2e9, 1 << 60}, Values: []int64{7, 7, 7}}) // two pauses of 37 years
	if s := b.Snapshot().Samples(); len(s) != 3 {
		t.Errorf("%v", s)
	}
	// A pause of hours is none where the watermark went on.
	b.Append(Batch{Sequence: 4, StampsNs: []int64{9000e9}, Values: []int64{7}, CompleteUntilNs: 9000e9})
	if s := b.Snapshot().Samples(); len(s) != 4 {
		t.Errorf("%v", s)
	}
	from, err := NewTrace(watts(ReadingIntervalMean), []Sample{{MonoNs: 1 << 61, Value: 7}, {MonoNs: 1e9, Value: 7}, {MonoNs: 1.1e9, Value: 7}}, 0)
	if err != nil || len(from.Samples()) != 2 {
		t.Errorf("%+v, %v", from, err)
	}
}

// A sensor that nobody describes is not taken for one that covers all time: a
// quarter is assumed, and said.
func TestUnknownAperture(t *testing.T) {
	var s []Sample
	for i := range int64(100) {
		s = append(s, Sample{MonoNs: i * 100e6, Value: 300e3})
	}
	for name, spoil := range map[string]func(*Domain){
		"no aperture":             func(*Domain) {},
		"no aperture, no period":  func(d *Domain) { d.UpdateNs = 0 },
		"changes, no aperture":    func(d *Domain) { d.ChangesOnly = true },
		"changes, without period": func(d *Domain) { d.ChangesOnly, d.AveragingNs, d.UpdateNs = true, 25e6, 0 },
	} {
		d := watts(ReadingInstant)
		spoil(&d)
		tr := trace(t, d, 20e9, s...)
		w, err := tr.Window(1e9, 9e9)
		if err != nil || !code(w, CodeDutyUnknown) || code(w, CodeDutySampled) || w.CoverageRatio != 0.25 || w.AliasRel < 0.2 || w.SystematicRel() < 0.2 {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
		if duty, known := tr.Duty(); known || duty != 0.25 {
			t.Errorf("%s: %g, known %v", name, duty, known)
		}
	}
	d := watts(ReadingInstant)
	d.Estimated = true // a model looks at what it likes
	if w, err := trace(t, d, 20e9, s...).Window(1e9, 9e9); err != nil || code(w, CodeDutyUnknown) || w.CoverageRatio != 1 || w.AliasRel != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	d = watts(ReadingInstant)
	d.AveragingNs, d.UpdateNs = 25e6, 0 // the period comes from the samples
	w, err := trace(t, d, 20e9, s...).Window(1e9, 9e9)
	if err != nil || !code(w, CodeDutySampled) || math.Abs(w.CoverageRatio-0.25) > 0.01 || w.AliasRel < 0.2 {
		t.Errorf("%+v, %v", w, err)
	}
	d.AveragingNs = 80e6 // most of the time: the rest can only be off by so much
	if w, err = trace(t, d, 20e9, s...).Window(1e9, 9e9); err != nil || math.Abs(w.AliasRel-1.96*0.11/4) > 1e-9 {
		t.Errorf("%+v, %v", w, err)
	}
}
