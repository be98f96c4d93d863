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

func TestCounterAtTheEndsOfInt64(t *testing.T) {
	tr := trace(t, joules(), 1e9, Sample{0, math.MinInt64, 0}, Sample{1e8, 0, 0}, Sample{2e8, math.MaxInt64, 0})
	w, err := tr.Window(0, 2e8)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "2^64 counts", w.EnergyJ, math.Ldexp(1, 64)/1000, 1e-12)
}

func TestSparseReadsAreSaid(t *testing.T) {
	// A burst at either end and nothing between is fine; an edge in the hole is not.
	var s []Sample
	for ns := int64(0); ns <= 30e9; ns += 10e6 {
		if ns > 1e9 && ns < 29e9 {
			continue
		}
		s = append(s, Sample{MonoNs: ns, Value: ns / 100e6 * 30_000})
	}
	tr := trace(t, joules(), 30e9, s...)
	w, err := tr.Window(0.55e9, 29.55e9)
	if err != nil || len(w.Warnings) != 0 || math.Abs(w.MeanPowerW-300) > 1e-9 {
		t.Errorf("%+v, %v", w, err)
	}
	w, err = tr.Window(0.55e9, 15e9)
	if err != nil || !code(w, CodeEdgeUnresolved) || w.RandomRel < 0.2 {
		t.Errorf("an edge in a 28-s hole: %+v, %v", w, err)
	}
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
