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
// 10 % off; over 160 s it can.
func TestCompareKnowsItsEdges(t *testing.T) {
	joules := func(ns int64) float64 { return float64(ns) / 1e9 * 600 * 1000 }
	var reads []energy.Sample
	for s := int64(0); s <= 200; s += 10 { // each read twice, so that its change has a place
		for _, ns := range []int64{s * 1e9, s*1e9 + 100e6} {
			reads = append(reads, energy.Sample{MonoNs: ns, Value: int64(joules(ns))})
		}
	}
	counter := must(t, counterDomain, reads, 200.1e9)
	ring := traceOf(t, ringDomain, 20e6, 200e9, func(int64) float64 { return 660_000 })
	for toNs, found := range map[int64]int{37e9: 0, 185e9: 1} {
		if a := Compare(ring, counter, 25e9, toNs); a.Ratio == nil || len(a.Warnings) != found {
			t.Errorf("until %d: %+v", toNs, a)
		}
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
