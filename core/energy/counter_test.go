package energy

import (
	"math"
	"testing"
)

func TestCounterVector(t *testing.T) {
	v := vectors[struct {
		Reads  [][]float64 `json:"reads_t_s__mJ"`
		Window []float64
		Delta  float64 `json:"delta_J"`
		Mean   float64 `json:"mean_power_W"`
	}](t, "energy_from_counter")
	var s []Sample
	for _, r := range v.Reads {
		s = append(s, Sample{MonoNs: int64(math.Round(r[0] * 1e9)), Value: int64(r[1])})
	}
	from, to := int64(math.Round(v.Window[0]*1e9)), int64(math.Round(v.Window[1]*1e9))

	// Without a change after the end: the raw difference of the vector.
	w, err := trace(t, joules(), to, s[:len(s)-1]...).Window(from, to)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "raw difference", w.EnergyJ, v.Delta, 1e-12)
	near(t, "its power", w.MeanPowerW, v.Mean, 1e-12)
	near(t, "its edge term", w.RandomRel, 0.1/math.Sqrt(6)/(v.Window[1]-v.Window[0]), 1e-9)
	if w.Method != MethodCounterDifference || !code(w, CodeEdgeUnresolved) {
		t.Errorf("%+v", w)
	}

	// With it: linear between the changes on either side, by hand.
	w, err = trace(t, joules(), to, s...).Window(from, to)
	if err != nil {
		t.Fatal(err)
	}
	begin := 1000 + 30*(0.096/0.104)
	end := 2504 + 29.9*(5.09-5.02)/(5.11-5.02)
	near(t, "interpolated", w.EnergyJ, end-begin, 1e-12)
	if w.Method != MethodCounterInterpolated || w.RandomRel > 0.1/math.Sqrt(6)/4.994*(1+1e-9) { // reads too sparse to locate a change better than the period
		t.Errorf("%+v", w)
	}
}

func TestInterpolationBeatsRawReads(t *testing.T) {
	// 300 W throughout, counter ticks every 100 ms, polled every 10 ms: whatever the
	// edges, the interpolated energy is right to the poll distance.
	var s []Sample
	for ns := int64(0); ns <= 20e9; ns += 10e6 {
		s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
	}
	tr := trace(t, joules(), 20e9, s...)
	for from := int64(1e9); from < 2e9; from += 37e6 {
		w, err := tr.Window(from, from+2_013e6)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "steady energy", w.EnergyJ, 300*2.013, 1e-9)
		near(t, "edge term", w.RandomRel, 0.01/math.Sqrt(6)/2.013, 1e-9)
	}
}

func TestCounterTrouble(t *testing.T) {
	base := []Sample{{0, 1000, 1}, {1e8, 2000, 1}, {2e8, 3000, 1}, {3e8, 4000, 1}, {4e8, 5000, 1}}
	spoil := func(f func([]Sample)) *Trace {
		s := append([]Sample(nil), base...)
		f(s)
		return trace(t, joules(), 1e9, s...)
	}
	if w, err := spoil(func([]Sample) {}).Window(5e7, 35e7); err != nil || math.Abs(w.EnergyJ-3) > 1e-12 || len(w.Warnings) != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	for name, c := range map[string]struct {
		tr       *Trace
		from, to int64
		code     string
	}{
		"backwards":            {spoil(func(s []Sample) { s[2].Value = 500 }), 5e7, 35e7, CodeZeroOrBackwards},
		"backwards at the end": {spoil(func(s []Sample) { s[4].Value = 0 }), 5e7, 35e7, CodeZeroOrBackwards},
		"restart inside":       {spoil(func(s []Sample) { s[2].Epoch, s[3].Epoch, s[4].Epoch = 2, 2, 2 }), 5e7, 35e7, CodeEpochChange},
		"restart at the end":   {spoil(func(s []Sample) { s[4].Epoch = 2 }), 5e7, 35e7, CodeEpochChange},
		"restart at the begin": {spoil(func(s []Sample) { s[0].Epoch = 0 }), 5e7, 35e7, CodeEpochChange},
		"stuck": {spoil(func(s []Sample) {
			for i := range s {
				s[i].Value = 7
			}
		}), 0, 4e8, CodeZeroOrBackwards},
		"before":     {trace(t, joules(), 1e9, base[1:]...), 0, 3e8, CodeNotCovered},
		"long after": {spoil(func([]Sample) {}), 3e8, 9e8, CodeNotCovered},
		"one sample": {trace(t, joules(), 1e9, base[0]), 0, 1e8, CodeZeroOrBackwards},
	} {
		if w, err := c.tr.Window(c.from, c.to); wrong(err, c.code) {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
	// A restart beyond the window does not concern it.
	after := spoil(func(s []Sample) { s[4].Epoch, s[4].Value = 2, 0 })
	if w, err := after.Window(0, 3e8); err != nil || math.Abs(w.EnergyJ-3) > 1e-12 {
		t.Errorf("%+v, %v", w, err)
	}
}

// A rise of more than anything can draw is no energy, however wide the numbers.
func TestCounterAtTheEndsOfInt64(t *testing.T) {
	for _, last := range []int64{math.MaxInt64, 1 << 60, 200_000_000} { // the last is 200 kJ in 100 ms
		tr := trace(t, joules(), 1e9, Sample{0, math.MinInt64, 0}, Sample{1e8, math.MinInt64 + 30_000, 0}, Sample{2e8, last, 0})
		if last == 200_000_000 {
			tr = trace(t, joules(), 1e9, Sample{0, 0, 0}, Sample{1e8, 30_000, 0}, Sample{2e8, last, 0})
		}
		if w, err := tr.Window(0, 2e8); wrong(err, CodeImplausible) {
			t.Errorf("%d: %+v, %v", last, w, err)
		}
	}
}

// holey is 300 W, counted every 100 ms and read every 10 ms, but for the time
// between two stamps.
func holey(fromNs, toNs int64) []Sample {
	var s []Sample
	for ns := int64(0); ns <= 30e9; ns += 10e6 {
		if ns <= fromNs || ns >= toNs {
			s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
		}
	}
	return s
}

// A hole matters to a counter where an edge lies in it, and nowhere else.
func TestHolesAtEdges(t *testing.T) {
	for _, c := range []struct {
		name             string
		holeFrom, holeTo int64
		from, to         int64
		coverage         float64
		severity         Severity // of sample_gap; "" = none
		widthNs          float64  // that the worse edge is known to; 0: the reads' 10 ms
	}{
		{"both edges outside", 1e9, 29e9, 0.55e9, 29.55e9, 1, "", 0},
		{"an edge in a hole of half the window", 1e9, 29e9, 0.55e9, 15e9, 1 - 14e9/14.45e9, SeverityFatal, 28e9},
		{"both edges in one hole", 1e9, 29e9, 10e9, 12e9, 0, SeverityFatal, 28e9 * math.Sqrt2},
		{"three periods are no hole", 10e9, 10.3e9, 10.15e9, 20.15e9, 1, "", 100e6},
		{"a hole at the begin", 10e9, 10.4e9, 10.1e9, 20.05e9, 1 - 0.3/9.95, SeverityWarning, 0.4e9},
		{"a hole at the end", 20e9, 20.4e9, 10.05e9, 20.1e9, 1 - 0.1/10.05, SeverityWarning, 0.4e9},
		{"an edge at a hole's end", 10e9, 10.4e9, 10.4e9, 20.05e9, 1, "", 100e6},
		{"more than 5 %", 10e9, 11e9, 10.9e9, 29.9e9, 1 - 0.1/19, SeverityFatal, 1e9},
		{"less than 5 %", 10e9, 10.9e9, 10.8e9, 29.9e9, 1 - 0.1/19.1, SeverityWarning, 0.9e9},
	} {
		w, err := trace(t, joules(), 30e9, holey(c.holeFrom, c.holeTo)...).Window(c.from, c.to)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		near(t, c.name+": power", w.MeanPowerW, 300, 1e-9)
		near(t, c.name+": coverage", w.CoverageRatio+1, c.coverage+1, 1e-9)
		if got := severityOf(w, CodeSampleGap); got != c.severity || w.Fatal() != (c.severity == SeverityFatal) {
			t.Errorf("%s: severity %q, %+v", c.name, got, w.Warnings)
		}
		other := 10e6
		if c.widthNs == 0 {
			c.widthNs = other
		} else if c.coverage == 0 {
			other = 0
		}
		near(t, c.name+": random", w.RandomRel, math.Hypot(c.widthNs, other)/math.Sqrt(12)/float64(c.to-c.from), 1e-9)
	}
}

func severityOf(w Window, code string) Severity {
	for _, x := range w.Warnings {
		if x.Code == code {
			return x.Severity
		}
	}
	return ""
}

// A counter does not say when between two changes power stepped: with the step at
// the very edge the modelled error is what the straight line misses.
func TestAStepOfPowerAtAnEdge(t *testing.T) {
	const step = int64(5.03e9) // 0.3 of the way between two changes
	var s []Sample
	for ns := int64(0); ns <= 20e9; ns += 1e6 {
		tick := ns / 100e6 * 100e6
		mj := tick * 200 / 1e6
		if tick > step {
			mj += (tick - step) * 400 / 1e6
		}
		s = append(s, Sample{MonoNs: ns, Value: mj})
	}
	w, err := trace(t, joules(), 20e9, s...).Window(step, 15e9)
	if err != nil {
		t.Fatal(err)
	}
	truth := 600 * 9.97
	const missed = 400 * 0.1 * 0.3 * 0.7
	near(t, "missed", truth-w.EnergyJ, missed, 1e-3)
	located := 1e-3 * w.MeanPowerW / math.Sqrt(6) // both edges, by 1 ms
	near(t, "random", w.RandomRel*w.EnergyJ, math.Hypot(missed, located), 1e-2)
}

// A hole with more energy in it than its share of time is a wider one.
func TestABurstInAHole(t *testing.T) {
	s := holey(10e9, 10.4e9)
	for i := range s {
		if s[i].MonoNs >= 10.4e9 {
			s[i].Value += 1_000_000 - 120_000 // 1 kJ in the hole
		}
	}
	w, err := trace(t, joules(), 30e9, s...).Window(10.2e9, 20e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "energy", w.EnergyJ, 500+300*9.6, 1e-9)
	near(t, "random", w.RandomRel*w.EnergyJ, 1000/math.Sqrt(12), 1e-3)
}

// What is known to be lost is harmless to a counter between its edges, and a
// hole at one.
func TestLossesOfACounter(t *testing.T) {
	b, err := NewBuilder(joules())
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(200) {
		batch := Batch{Sequence: i, StampsNs: []int64{int64(i) * 100e6}, Values: []int64{int64(i) * 30_000}, CompleteUntilNs: int64(i) * 100e6}
		if i == 100 {
			batch.Dropped = 3
		}
		b.Append(batch)
	}
	tr := b.Snapshot()
	for _, c := range []struct {
		from, to      int64
		gap, dropped  Severity
		coverageRatio float64
	}{
		{5.05e9, 15.05e9, SeverityInfo, SeverityInfo, 1},
		{9.95e9, 19.05e9, SeverityWarning, "", 1 - 0.05/9.1},
		{10.05e9, 19.05e9, "", "", 1},
	} {
		w, err := tr.Window(c.from, c.to)
		if err != nil || severityOf(w, CodeSampleGap) != c.gap || severityOf(w, CodeDropped) != c.dropped {
			t.Errorf("from %d: %+v, %v", c.from, w, err)
		}
		near(t, "coverage", w.CoverageRatio, c.coverageRatio, 1e-9)
		near(t, "power", w.MeanPowerW, 300, 1e-9)
	}
}

// A change-only counter that never changes again leaves its end open.
func TestAChangeOnlyCounterThatStops(t *testing.T) {
	d := joules()
	d.ChangesOnly = true
	var s []Sample
	for ns := int64(0); ns <= 5e9; ns += 100e6 {
		s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
	}
	w, err := trace(t, d, 30e9, s...).Window(1.05e9, 6e9)
	if err != nil || severityOf(w, CodeSampleGap) != SeverityFatal || w.Method != MethodCounterDifference {
		t.Errorf("%+v, %v", w, err)
	}
	near(t, "coverage", w.CoverageRatio, 1-1.05/4.95, 1e-9)
}

func TestUnwrapVectors(t *testing.T) {
	for _, v := range vectors[[]struct {
		Prev, Cur uint64
		Max       uint64 `json:"max_range"`
		Delta     uint64 `json:"delta_uj"`
	}](t, "rapl_wrap") {
		if got, ok := UnwrapDelta(v.Prev, v.Cur, v.Max); !ok || got != v.Delta {
			t.Errorf("%+v: %d, %v", v, got, ok)
		}
	}
	if _, ok := UnwrapDelta(5, 11, 10); ok {
		t.Error("a value beyond the range was accepted")
	}
	if got, ok := UnwrapDelta(math.MaxUint64, 1, math.MaxUint64); !ok || got != 1 {
		t.Errorf("%d, %v", got, ok)
	}
}

func TestCounterFindsItsPeriod(t *testing.T) {
	d := joules()
	d.UpdateNs = 0
	var s []Sample
	for ns := int64(0); ns <= 5e9; ns += 10e6 {
		s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
	}
	tr := trace(t, d, 5e9, s...)
	if p := tr.PeriodNs(); p != 100e6 {
		t.Errorf("period %d ns from ticks of 100 ms polled every 10 ms", p)
	}
	if p := trace(t, d, 1e9, s[:12]...).PeriodNs(); p != 10e6 {
		t.Errorf("period %d ns from one change", p)
	}
}

// A change-only counter hides how finely it was polled: the period stands for that
// unless the domain states the spread of its stamps.
func TestChangeOnlyCounterEdge(t *testing.T) {
	d := joules()
	d.ChangesOnly = true
	var s []Sample
	for ns := int64(0); ns <= 5e9; ns += 100e6 {
		s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
	}
	w, err := trace(t, d, 5e9, s...).Window(1.05e9, 3.05e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "by the period", w.RandomRel, 0.1/math.Sqrt(6)/2, 1e-9)
	d.LagSpreadNs = 4e6
	w, err = trace(t, d, 5e9, s...).Window(1.05e9, 3.05e9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "by the spread", w.RandomRel, 0.004*math.Sqrt2/2, 1e-9)
	w, err = trace(t, d, 5e9, s...).Window(1.05e9, 1.08e9)
	if err != nil || w.RandomRel < 1 {
		t.Errorf("30 ms of a 100-ms counter: %+v, %v", w, err)
	}
}
