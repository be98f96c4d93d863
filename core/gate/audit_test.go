package gate

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
)

// traceOf is a recording every period of what value says.
func traceOf(t *testing.T, d energy.Domain, periodNs, untilNs int64, value func(ns int64) float64) *energy.Trace {
	t.Helper()
	var samples []energy.Sample
	for ns := periodNs; ns <= untilNs; ns += periodNs {
		samples = append(samples, energy.Sample{MonoNs: ns, Value: int64(value(ns))})
	}
	return must(t, d, samples, untilNs)
}

func must(t *testing.T, d energy.Domain, samples []energy.Sample, untilNs int64) *energy.Trace {
	t.Helper()
	d.UnitNum, d.UnitDen = 1, 1000
	trace, err := energy.NewTrace(d, samples, untilNs)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

var (
	ringDomain    = energy.Domain{ID: card, Kind: energy.KindGPU, Reading: energy.ReadingIntervalMean, UpdateNs: 20e6}
	counterDomain = energy.Domain{ID: card + "/counter", Kind: energy.KindGPU, Reading: energy.ReadingCounter, UpdateNs: 100e6}
)

func TestCompare(t *testing.T) {
	counter := traceOf(t, counterDomain, 100e6, 40e9, func(ns int64) float64 { return float64(ns) / 1e9 * 600 * 1000 })
	for _, c := range []struct {
		watts, ratio float64
		severity     string
	}{
		{600, 1, ""}, {629, 1.0483, ""}, {631, 1.0517, "warning"}, {505, 0.8417, "fatal"},
	} {
		ring := traceOf(t, ringDomain, 20e6, 40e9, func(int64) float64 { return c.watts * 1000 })
		a := Compare(ring, counter, 10e9, 30e9)
		if a.Ratio == nil || math.Abs(*a.Ratio-c.ratio) > 1e-4 || a.Method != energy.MethodIntervalMean || a.CheckMethod != energy.MethodCounterInterpolated {
			t.Fatalf("%v W: %+v", c.watts, a)
		}
		switch {
		case c.severity == "" && len(a.Warnings)+len(a.Code) != 0:
			t.Errorf("%v W: %+v", c.watts, a)
		case c.severity != "" && (len(a.Warnings) != 1 || string(a.Warnings[0].Severity) != c.severity || a.Code != "counter_vs_power" || a.Reason == ""):
			t.Errorf("%v W: %+v", c.watts, a)
		}
	}
}

// A counter that is read every 10 s cannot say that 12 s between its reads are
// 8 % off. From the read before to the one after it can, and says so; a Run that
// begins or ends between them leaves it blunt.
func TestCompareWindow(t *testing.T) {
	joules := func(ns int64) float64 { return float64(ns) / 1e9 * 600 * 1000 }
	var reads []energy.Sample
	for s := int64(0); s <= 200; s += 10 {
		reads = append(reads, energy.Sample{MonoNs: s * 1e9, Value: int64(joules(s * 1e9))})
	}
	counter := must(t, counterDomain, reads, 200e9)
	whole := [2]int64{0, 200e9}
	for _, c := range []struct {
		watts          float64
		fromNs, toNs   int64
		run            [2]int64
		aFromNs, aToNs int64
		code, severity string
		leastRel, most float64
	}{
		{600, 25e9, 37e9, whole, 20e9, 40e9, "", "", 0, 0.02},
		{629, 25e9, 37e9, whole, 20e9, 40e9, "", "", 0, 0.02},
		{650, 25e9, 37e9, whole, 20e9, 40e9, "counter_vs_power", "warning", 0, 0.02},
		{480, 25e9, 37e9, whole, 20e9, 40e9, "counter_vs_power", "fatal", 0, 0.02},
		{650, 30e9, 50e9, whole, 30e9, 50e9, "counter_vs_power", "warning", 0, 0.02}, // sharp as it is
		{650, 25e9, 37e9, [2]int64{24e9, 38e9}, 24e9, 38e9, "too_blunt", "", 0.02, 1},
	} {
		ring := traceOf(t, ringDomain, 20e6, 200e9, func(int64) float64 { return c.watts * 1000 })
		a := CompareWindow(ring, counter, c.fromNs, c.toNs, c.run)
		said := ""
		for _, w := range a.Warnings {
			said = string(w.Severity)
		}
		if a.Ratio == nil || a.Code != c.code || said != c.severity || a.FromNs != c.aFromNs || a.ToNs != c.aToNs || a.RandomRel < c.leastRel || a.RandomRel >= c.most {
			t.Errorf("%v W, %d to %d: %+v", c.watts, c.fromNs, c.toNs, a)
		}
		if a.Code != "" && a.Reason == "" {
			t.Errorf("no reason: %+v", a)
		}
	}
	blunt := Compare(traceOf(t, ringDomain, 20e6, 200e9, func(int64) float64 { return 650_000 }), counter, 25e9, 37e9)
	if blunt.Code != "too_blunt" || len(blunt.Warnings) != 0 || blunt.RandomRel < 0.2 {
		t.Errorf("%+v", blunt)
	}
}

// A sharp audit is taken at its word from 10 s on; a shorter one must disagree by
// more than three times what its edges leave open.
func TestCompareFromTenSecondsOn(t *testing.T) {
	ring := traceOf(t, ringDomain, 20e6, 40e9, func(int64) float64 { return 634 * 1000 }) // 5.7 % more
	taken, left := 0, 0
	for periodNs := int64(300e6); periodNs < 1500e6; periodNs += 10e6 {
		d := counterDomain
		d.UpdateNs = periodNs
		counter := traceOf(t, d, periodNs, 40e9, func(ns int64) float64 { return float64(ns) / 1e9 * 600 * 1000 })
		for _, lengthNs := range []int64{9.9e9, 10.1e9} {
			a := Compare(ring, counter, 10.05e9, 10.05e9+lengthNs)
			if a.Ratio == nil {
				t.Fatalf("%+v", a)
			}
			if !(a.sharp() && math.Abs(*a.Ratio-1) < 3*a.RandomRel) {
				continue // what the length has no part in
			}
			if warned := len(a.Warnings) > 0; warned != (lengthNs > 10e9) {
				t.Errorf("a counter of %d ms over %.1f s: %+v", periodNs/1e6, float64(lengthNs)/1e9, a)
			}
			if lengthNs > 10e9 {
				taken++
			} else {
				left++
			}
		}
	}
	if taken == 0 || left == 0 {
		t.Errorf("%d audits of 10.1 s and %d of 9.9 s were near the limit", taken, left)
	}
}

// A ring that looks at a quarter of the time may be off by a fifth and proves
// nothing; beyond that it disagrees, however long the window.
func TestCompareASensorThatLooksAtPartOfTheTime(t *testing.T) {
	counter := traceOf(t, counterDomain, 100e6, 40e9, func(ns int64) float64 { return float64(ns) / 1e9 * 600 * 1000 })
	d := energy.Domain{ID: card, Kind: energy.KindGPU, Reading: energy.ReadingInstant, UpdateNs: 100e6, AveragingNs: 25e6}
	for watts, code := range map[float64]string{600: "too_blunt", 720: "too_blunt", 490: "too_blunt", 760: "counter_vs_power", 400: "counter_vs_power"} {
		a := Compare(traceOf(t, d, 100e6, 40e9, func(int64) float64 { return watts * 1000 }), counter, 10e9, 30e9)
		if a.Ratio == nil || a.Code != code || a.sharp() || a.AliasRel < 0.2 || a.RandomRel > 0.01 || len(a.Warnings) > 0 != (code == "counter_vs_power") {
			t.Errorf("%g W: %+v", watts, a)
		}
	}
	d.AveragingNs = 96e6
	if a := Compare(traceOf(t, d, 100e6, 40e9, func(int64) float64 { return 640e3 }), counter, 10e9, 30e9); !a.sharp() || a.Code != "counter_vs_power" {
		t.Errorf("96 %% of the time: %+v", a)
	}
}

func TestCompareWithoutEnergy(t *testing.T) {
	counter := traceOf(t, counterDomain, 100e6, 5e9, func(ns int64) float64 { return float64(ns) })
	ring := traceOf(t, ringDomain, 20e6, 40e9, func(int64) float64 { return 1000 })
	a := Compare(ring, counter, 10e9, 30e9)
	if a.Ratio != nil || a.Code != "no_ratio" || !strings.Contains(a.Reason, "no energy to check by") {
		t.Errorf("%+v", a)
	}
}

// On a real H100 ring and counter agree: over the whole prefill phase within
// 0.2 %, and nothing is found in it.
func TestCompareOnARecording(t *testing.T) {
	rows := func(name string) [][]string {
		f, err := os.Open("../energy/testdata/h100/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	number := func(s string) int64 {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var power, counts []energy.Sample
	for _, r := range rows("samples.csv") {
		power = append(power, energy.Sample{MonoNs: number(r[0]) * 1000, Value: number(r[1])})
	}
	for _, r := range rows("energy.csv") {
		counts = append(counts, energy.Sample{MonoNs: number(r[1]), Value: number(r[2])})
	}
	var from, to int64
	for _, r := range rows("phases.csv") {
		if r[0] == "prefill" {
			if to = number(r[2]); from == 0 {
				from = number(r[1])
			}
		}
	}
	changes := counterDomain
	changes.ChangesOnly = true
	a := Compare(must(t, ringDomain, power, power[len(power)-1].MonoNs), must(t, changes, counts, counts[len(counts)-1].MonoNs), from, to)
	if a.Ratio == nil || math.Abs(*a.Ratio-1) > 0.002 || len(a.Warnings) != 0 || to-from < 30e9 {
		t.Errorf("over %.1f s: %+v", float64(to-from)/1e9, a)
	}
}
