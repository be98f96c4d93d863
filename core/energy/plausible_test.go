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

func TestAStampOfTheFarFuture(t *testing.T) {
	b, err := NewBuilder(watts(ReadingIntervalMean))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(10) {
		stamp := i * 100e6
		if i == 5 {
			stamp = 1 << 61
		}
		b.Append(Batch{Sequence: uint64(i), StampsNs: []int64{stamp}, Values: []int64{1000}})
	}
	if s := b.Snapshot(); len(s.Samples()) != 9 || s.Samples()[8].MonoNs != 900e6 || len(s.Warnings()) != 1 {
		t.Errorf("%d samples, %v", len(s.Samples()), s.Warnings())
	}
}

// A sensor that nobody describes is not taken for one that covers all time.
func TestUnknownAperture(t *testing.T) {
	d := watts(ReadingInstant)
	var s []Sample
	for i := range int64(100) {
		s = append(s, Sample{MonoNs: i * 100e6, Value: 300e3})
	}
	w, err := trace(t, d, 20e9, s...).Window(1e9, 9e9)
	if err != nil || !code(w, CodeDutyUnknown) || w.RandomRel < 0.1 {
		t.Errorf("%+v, %v", w, err)
	}
	d.AveragingNs, d.UpdateNs = 25e6, 0 // the period comes from the samples
	w, err = trace(t, d, 20e9, s...).Window(1e9, 9e9)
	if err != nil || !code(w, CodeDutySampled) || math.Abs(w.CoverageRatio-0.25) > 0.01 {
		t.Errorf("%+v, %v", w, err)
	}
}
