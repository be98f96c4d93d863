package energy

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

func TestPowerVectors(t *testing.T) {
	v := vectors[struct {
		T     []float64 `json:"t_s"`
		P     []float64 `json:"p_w"`
		Cases []struct {
			Window    []float64
			Trapezoid float64 `json:"trapezoid_edge_interp"`
			Hold      float64 `json:"hold_last_value"`
			Backfill  float64 `json:"trailing_average_backfill"`
		}
		Dedup struct {
			Dedup struct{ T, P []float64 } `json:"dedup_changes_only"`
			Full  struct{ T, P []float64 }
			Want  float64 `json:"hold_dedup_to_4"`
			All   float64 `json:"trapezoid_full"`
		} `json:"dedup_example"`
	}](t, "energy_from_samples")
	changes := watts(ReadingInstant)
	changes.ChangesOnly = true
	const origin = int64(5e9)
	record := func(d Domain, at, p []float64, until float64) *Trace {
		var s []Sample
		for i := range at {
			s = append(s, Sample{MonoNs: origin + int64(math.Round(at[i]*1e9)), Value: int64(p[i] * 1000)})
		}
		return trace(t, d, origin+int64(until*1e9), s...)
	}
	for _, c := range v.Cases {
		from, to := origin+int64(math.Round(c.Window[0]*1e9)), origin+int64(math.Round(c.Window[1]*1e9))
		for _, m := range []struct {
			d        Domain
			method   string
			want     float64
			coverage float64
		}{{watts(ReadingInstant), MethodTrapezoid, c.Trapezoid, quarter}, {changes, MethodHoldLast, c.Hold, quarter}, {watts(ReadingIntervalMean), MethodIntervalMean, c.Backfill, 1}} {
			w, err := record(m.d, v.T, v.P, 0.6).Window(from, to)
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprint(m.method, c.Window), w.EnergyJ, m.want, 1e-12)
			near(t, "its power", w.MeanPowerW, m.want/(c.Window[1]-c.Window[0]), 1e-9)
			if w.Method != m.method || w.CoverageRatio != m.coverage {
				t.Errorf("%v: method %s, coverage %g", c.Window, w.Method, w.CoverageRatio)
			}
		}
	}
	w, err := record(changes, v.Dedup.Dedup.T, v.Dedup.Dedup.P, 4).Window(origin, origin+4e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "hold over changes only", w.EnergyJ, v.Dedup.Want, 1e-12)
	full := watts(ReadingInstant)
	full.UpdateNs = 1e9
	w, err = record(full, v.Dedup.Full.T, v.Dedup.Full.P, 4).Window(origin, origin+4e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "trapezoid over all", w.EnergyJ, v.Dedup.All, 1e-12)
}

func TestTrailingMeanShift(t *testing.T) {
	// Power steps from 100 to 300 W at 10 s; a 100 ms average every 100 ms sees the
	// step half done at 10.05 s.
	d := watts(ReadingTrailingMean)
	d.AveragingNs = 100e6
	var s []Sample
	for ns := int64(8e9); ns <= 13e9; ns += 100e6 {
		s = append(s, Sample{MonoNs: ns, Value: int64(stepMean(ns-100e6, ns) * 1000)})
	}
	tr := trace(t, d, 13e9, s...)
	w, err := tr.Window(9e9, 12e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy over the step", w.EnergyJ, 100+600, 1e-9)
	if w.Method != MethodTrailingShifted {
		t.Error(w.Method)
	}
	// Without the shift it would be 10 J less: 50 ms at 200 W.
	d.LagNs = 40e6
	late := make([]Sample, len(s))
	for i, x := range s {
		late[i] = Sample{MonoNs: x.MonoNs + 40e6, Value: x.Value}
	}
	w, err = trace(t, d, 13.04e9, late...).Window(9e9, 12e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy with lag", w.EnergyJ, 700, 1e-9)
}

// stepMean is the mean power from a to b of a load of 100 W that becomes 300 W at
// 10 s and 100 W again at 14 s.
func stepMean(a, b int64) float64 {
	high := max(0, min(b, 14e9)-max(a, 10e9))
	return 100 + 200*float64(high)/float64(b-a)
}

func TestTrailingMeanTiles(t *testing.T) {
	// A 1-s average every 100 ms, as on GH100. The load is on from 10 to 14 s: tiles
	// see exactly that, whatever came before.
	d := watts(ReadingTrailingMean)
	d.AveragingNs = 1e9
	var s []Sample
	for ns := int64(5e9); ns <= 20e9; ns += 100e6 {
		s = append(s, Sample{MonoNs: ns, Value: int64(math.Round(stepMean(ns-1e9, ns) * 1000))})
	}
	tr := trace(t, d, 20e9, s...)
	for _, c := range []struct {
		from, to int64
		want     float64
	}{{10e9, 14e9, 1200}, {9e9, 15e9, 1400}, {10.03e9, 13.03e9, 900}, {10e9, 13.5e9, 1050}} {
		w, err := tr.Window(c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		if w.Method != MethodTrailingTiled {
			t.Error(w.Method)
		}
		near(t, fmt.Sprint("tiles ", c.from, c.to), w.EnergyJ, c.want, 1e-6)
	}
	w, err := tr.Window(12e9, 12.5e9)
	if err != nil {
		t.Fatal(err)
	}
	if w.Method != MethodTrailingShifted || !code(w, CodeShortWindow) || w.RandomRel < 0.5 {
		t.Errorf("half a second of a 1-s average: %+v", w)
	}
}

func TestGapsAreSaid(t *testing.T) {
	var s []Sample
	for ns := int64(0); ns <= 10e9; ns += 100e6 {
		if ns > 4e9 && ns < 6e9 {
			continue
		}
		s = append(s, Sample{MonoNs: ns, Value: 200_000})
	}
	tr := trace(t, watts(ReadingInstant), 10e9, s...)
	w, err := tr.Window(0, 10e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "coverage", w.CoverageRatio, quarter*0.8, 1e-9)
	near(t, "energy", w.EnergyJ, 2000, 1e-9)
	if !code(w, CodeSampleGap) || !code(w, CodeLowCoverage) || w.Fatal() || w.RandomRel < 0.1 {
		t.Errorf("%+v", w)
	}
	w, err = tr.Window(3.9e9, 6.1e9)
	if err != nil || !w.Fatal() {
		t.Errorf("a window that is nearly all hole: %+v, %v", w, err)
	}
	w, err = tr.Window(7e9, 9e9)
	if err != nil || code(w, CodeSampleGap) || w.CoverageRatio != quarter {
		t.Errorf("a window beside the hole: %+v, %v", w, err)
	}
}

func TestEdgesBeyondTheSamples(t *testing.T) {
	s := []Sample{{MonoNs: 1e9, Value: 100_000}, {MonoNs: 1.1e9, Value: 100_000}, {MonoNs: 1.2e9, Value: 300_000}}
	tr := trace(t, watts(ReadingInstant), 9e9, s...)
	w, err := tr.Window(0.95e9, 1.25e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "held edges", w.EnergyJ, 5+10+20+15, 1e-9)
	near(t, "coverage", w.CoverageRatio, quarter*0.2/0.3, 1e-9)
	if !code(w, CodeEdgeHeld) {
		t.Errorf("%+v", w.Warnings)
	}
	for _, span := range [][2]int64{{0, 1.1e9}, {1.1e9, 2e9}, {2e9, 3e9}, {0, 5e8}} {
		w, err := tr.Window(span[0], span[1])
		if wrong(err, CodeNotCovered) {
			t.Errorf("%v: %+v, %v", span, w, err)
		}
	}
}

func wrong(err error, code string) bool {
	var e *WindowError
	return !errors.As(err, &e) || e.Code != code || errors.Is(err, ErrIncomplete) != (code == CodeIncomplete) || errors.Is(err, ErrInvalid) == (code == CodeIncomplete)
}

func TestWatermark(t *testing.T) {
	d := watts(ReadingInstant)
	s := []Sample{{MonoNs: 0, Value: 1}, {MonoNs: 1e9, Value: 1}}
	if _, err := trace(t, d, 999_999_999, s...).Window(0, 1e9); wrong(err, CodeIncomplete) {
		t.Error(err)
	}
	d.LagNs = 1
	if _, err := trace(t, d, 1e9, s...).Window(0, 1e9); wrong(err, CodeIncomplete) {
		t.Error(err)
	}
	if _, err := trace(t, watts(ReadingInstant), 0).Window(0, 1e9); wrong(err, CodeIncomplete) {
		t.Error(err)
	}
}

func TestBadSpans(t *testing.T) {
	tr := trace(t, watts(ReadingInstant), math.MaxInt64, Sample{MonoNs: 0, Value: 1}, Sample{MonoNs: math.MaxInt64, Value: 1})
	for _, span := range [][2]int64{{5, 5}, {6, 5}, {-1, 5}, {math.MinInt64, math.MaxInt64}, {0, math.MaxInt64}} {
		if _, err := tr.Window(span[0], span[1]); wrong(err, CodeBadSpan) {
			t.Errorf("%v: %v", span, err)
		}
	}
	if _, err := trace(t, watts(ReadingInstant), 10e9).Window(0, 5); wrong(err, CodeNoSamples) {
		t.Error(err)
	}
}

func TestPowerThatIsNone(t *testing.T) {
	zero := trace(t, watts(ReadingInstant), 1e9, Sample{MonoNs: 0}, Sample{MonoNs: 1e8}, Sample{MonoNs: 2e8})
	if _, err := zero.Window(0, 2e8); wrong(err, CodeZeroSample) {
		t.Error(err)
	}
	negative := trace(t, watts(ReadingInstant), 1e9, Sample{MonoNs: 0, Value: 9000}, Sample{MonoNs: 1e8, Value: -1000}, Sample{MonoNs: 2e8, Value: 9000})
	w, err := negative.Window(0, 2e8)
	if err != nil || !code(w, CodeNegativePower) || !w.Fatal() {
		t.Errorf("%+v, %v", w, err)
	}
	huge := trace(t, watts(ReadingInstant), 1e9, Sample{MonoNs: 0, Value: math.MaxInt64}, Sample{MonoNs: 1e8, Value: math.MaxInt64})
	if _, err := huge.Window(0, 1e8); wrong(err, CodeImplausible) {
		t.Error(err)
	}
	restarted := trace(t, watts(ReadingInstant), 1e9, Sample{MonoNs: 0, Value: 9000}, Sample{MonoNs: 1e8, Value: 9000, Epoch: 1}, Sample{MonoNs: 2e8, Value: 9000, Epoch: 1})
	if _, err := restarted.Window(0, 2e8); wrong(err, CodeEpochChange) {
		t.Error(err)
	}
	if _, err := restarted.Window(1e8, 2e8); err != nil {
		t.Error(err)
	}
}

func TestOneSample(t *testing.T) {
	one := trace(t, watts(ReadingInstant), 9e9, Sample{MonoNs: 1e9, Value: 100_000})
	if _, err := one.Window(0, 8e9); wrong(err, CodeNotCovered) {
		t.Error(err)
	}
	d := watts(ReadingInstant)
	d.UpdateNs, d.ChangesOnly = 0, true
	w, err := trace(t, d, 9e9, Sample{MonoNs: 1e9, Value: 100_000}).Window(1e9, 8e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "one change-only sample", w.EnergyJ, 700, 1e-12)
}

func TestDutySampling(t *testing.T) {
	d := watts(ReadingInstant)
	d.AveragingNs = 25e6
	d.Estimated = true
	d.Accuracy = Accuracy{GainRel: 0.05, OffsetW: 5, Confidence: 0.95}
	var s []Sample
	for ns := int64(0); ns <= 70e9; ns += 100e6 {
		s = append(s, Sample{MonoNs: ns, Value: 500_000})
	}
	w, err := trace(t, d, 70e9, s...).Window(5e9, 65e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "coverage", w.CoverageRatio, 0.25, 1e-9)
	near(t, "aliasing", w.AliasRel, 1.96*0.11, 1e-9)
	near(t, "systematic", w.SystematicRel(), 0.06+1.96*0.11, 1e-9)
	if w.RandomRel > 0.001 {
		t.Errorf("random %g: more cycles do not show aliasing", w.RandomRel)
	}
	if !code(w, CodeDutySampled) || !code(w, CodeEstimated) || !w.Estimated {
		t.Errorf("%+v", w.Warnings)
	}
}

// A ripple of ±20 % in step with the sensor, as long on as off, is held by the
// modelled error at every phase and every duty.
func TestDutySamplingOfALockedRipple(t *testing.T) {
	const update = int64(100e6)
	for _, average := range []int64{10e6, 25e6, 50e6, 75e6, 90e6} {
		d := watts(ReadingInstant)
		d.AveragingNs, d.UpdateNs = average, update
		held := 0
		for phase := int64(0); phase < update; phase += 1e6 {
			busy := int64(0) // of the time that the sensor looks at
			for ns := phase; ns < phase+average; ns += 1e6 {
				if ns%update < update/2 {
					busy += 1e6
				}
			}
			value := 240_000 + 120_000*busy/average
			var s []Sample
			for ns := int64(0); ns <= 20e9; ns += update {
				s = append(s, Sample{MonoNs: ns, Value: value})
			}
			w, err := trace(t, d, 20e9, s...).Window(5e9, 15e9)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(w.EnergyJ/3000-1) <= w.SystematicRel()+1.96*w.RandomRel {
				held++
			}
		}
		if held < 95 {
			t.Errorf("%s of %s: the truth is held at %d %% of the phases", DurationText(average), DurationText(update), held)
		}
	}
}

func TestDomainIsChecked(t *testing.T) {
	good := watts(ReadingInstant)
	for name, spoil := range map[string]func(*Domain){
		"id":        func(d *Domain) { d.ID = " " },
		"reading":   func(d *Domain) { d.Reading = "guess" },
		"unit":      func(d *Domain) { d.UnitDen = 0 },
		"unit sign": func(d *Domain) { d.UnitNum = -1 },
		"averaging": func(d *Domain) { d.AveragingNs = -1 },
		"lag":       func(d *Domain) { d.LagNs = math.MaxInt64 },
		"trailing":  func(d *Domain) { d.Reading = ReadingTrailingMean },
		"gain":      func(d *Domain) { d.Accuracy.GainRel = math.NaN() },
		"offset":    func(d *Domain) { d.Accuracy.OffsetW = math.Inf(1) },
		"no chance": func(d *Domain) { d.Accuracy.Confidence = math.NaN() },
		"chance":    func(d *Domain) { d.Accuracy.Confidence = 95 },
	} {
		d := good
		spoil(&d)
		if _, err := NewBuilder(d); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if _, err := (&Trace{Domain: d, CompleteUntilNs: 10e9}).Window(0, 1e9); err == nil {
			t.Errorf("%s: a window was computed", name)
		}
	}
}

func TestTilesOverAGap(t *testing.T) {
	d := watts(ReadingTrailingMean)
	d.AveragingNs = 1e9
	var s []Sample
	for ns := int64(1e9); ns <= 21e9; ns += 100e6 {
		if ns > 10.4e9 && ns < 11.6e9 {
			continue // the tile that ends at 11 s
		}
		s = append(s, Sample{MonoNs: ns, Value: 250_000})
	}
	tr := trace(t, d, 22e9, s...)
	w, err := tr.Window(1e9, 21e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", w.EnergyJ, 5000, 1e-9)
	near(t, "coverage", w.CoverageRatio, 0.95, 1e-9)
	if !code(w, CodeSampleGap) {
		t.Errorf("%+v", w.Warnings)
	}
	w, err = tr.Window(2.2e9, 21.2e9)
	if err != nil || !code(w, CodeEdgeHeld) {
		t.Errorf("%+v, %v", w, err)
	}
	near(t, "held end", w.EnergyJ, 250*19, 1e-9)
	for _, span := range [][2]int64{{0, 3e9}, {15e9, 21.9e9}} {
		w, err := tr.Window(span[0], span[1])
		if span[0] == 0 { // the average stamped 1 s covers the first second: no sample is missing
			if err != nil || len(w.Warnings) != 0 {
				t.Errorf("%+v, %v", w, err)
			}
			continue
		}
		if wrong(err, CodeNotCovered) {
			t.Errorf("%+v, %v", w, err)
		}
	}
	d.ID = "restarted"
	s[30].Epoch = 1
	if w, err := trace(t, d, 22e9, s...).Window(1e9, 21e9); wrong(err, CodeEpochChange) {
		t.Errorf("%+v, %v", w, err)
	}
}

// An interval mean recorded on change only: the new value covers the interval
// before its stamp and holds until the interval before the next.
func TestIntervalMeanOnChange(t *testing.T) {
	d := watts(ReadingIntervalMean)
	full := trace(t, d, 3e9, Sample{MonoNs: 0, Value: 100_000}, Sample{MonoNs: 1e8, Value: 100_000}, Sample{MonoNs: 2e8, Value: 100_000},
		Sample{MonoNs: 3e8, Value: 400_000}, Sample{MonoNs: 4e8, Value: 400_000}, Sample{MonoNs: 5e8, Value: 400_000})
	d.ChangesOnly = true
	short := trace(t, d, 6e8, Sample{MonoNs: 0, Value: 100_000}, Sample{MonoNs: 3e8, Value: 400_000})
	for _, span := range [][2]int64{{0, 5e8}, {5e7, 25e7}, {15e7, 45e7}, {3e8, 4e8}, {21e7, 22e7}} {
		want, err := full.Window(span[0], span[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := short.Window(span[0], span[1])
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprint(span), got.EnergyJ, want.EnergyJ, 1e-12)
		if got.Method != MethodHoldLast {
			t.Error(got.Method)
		}
	}
	// 5.5e8 needs the sample that may be stamped 6.5e8.
	if w, err := short.Window(0, 55e7); wrong(err, CodeIncomplete) {
		t.Errorf("%+v, %v", w, err)
	}
	if need := d.NeededUntilNs(1e9); need != 1e9+3*100e6 {
		t.Errorf("needed until %d", need)
	}
}
