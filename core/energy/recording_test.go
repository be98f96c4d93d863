package energy

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"
)

// recording reads the H100 fixture: the sample ring, the counter and the phases.
func recording(t *testing.T) (ring, counter *Trace, phases map[string][][2]int64) {
	t.Helper()
	rows := func(name string) [][]string {
		f, err := os.Open("testdata/h100/" + name)
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
	var power, energy []Sample
	for _, r := range rows("samples.csv") {
		power = append(power, Sample{MonoNs: number(r[0]) * 1000, Value: number(r[1])})
	}
	for _, r := range rows("energy.csv") {
		energy = append(energy, Sample{MonoNs: number(r[1]), Value: number(r[2])})
	}
	phases = map[string][][2]int64{}
	for _, r := range rows("phases.csv") {
		phases[r[0]] = append(phases[r[0]], [2]int64{number(r[1]), number(r[2])})
	}
	d := watts(ReadingIntervalMean)
	d.UpdateNs = 0 // to be found: 20 ms
	c := joules()
	c.ChangesOnly = true
	return trace(t, d, power[len(power)-1].MonoNs, power...), trace(t, c, energy[len(energy)-1].MonoNs, energy...), phases
}

// What was found on the machine: over a whole phase ring and counter agree to
// 0.09 % (prefill) and 0.04 % (200/200 ms square wave), and 0.48-s windows of
// equal work scatter by 0.54 % through the ring and 0.88 % through the counter.
func TestRealRecording(t *testing.T) {
	ring, counter, phases := recording(t)
	if len(ring.Warnings()) != 0 || len(counter.Warnings()) != 0 {
		t.Fatalf("%v %v", ring.Warnings(), counter.Warnings())
	}
	if p := ring.PeriodNs(); p < 19e6 || p > 21e6 {
		t.Errorf("period of the ring %d ns", p)
	}
	for name, want := range map[string]float64{"prefill": 1.0009, "sq0.2": 1.0004} {
		p := phases[name]
		from, to := p[0][0], p[len(p)-1][1]
		a, err := ring.Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		b, err := counter.Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		ratio, warnings, err := CrossCheck(a, b)
		if err != nil || len(warnings) != 0 {
			t.Errorf("%s: %v, %v", name, warnings, err)
		}
		// The square wave has its steps at the edges, where 27 ms of doubt between
		// the two stamps are 0.2 % of 16 s.
		near(t, name+" ring/counter", ratio, want, 2e-3)
		if a.Method != MethodIntervalMean || b.Method != MethodCounterInterpolated {
			t.Errorf("%s, %s", a.Method, b.Method)
		}
		t.Logf("%s: ring %.1f J ±%.4f, counter %.1f J ±%.4f, ratio %.4f, coverage %.4f", name, a.EnergyJ, a.RandomRel, b.EnergyJ, b.RandomRel, ratio, a.CoverageRatio)
	}
	for _, c := range []struct {
		name string
		tr   *Trace
		most float64
	}{{"ring", ring, 0.008}, {"counter", counter, 0.012}} {
		var sum, squares, modelled float64
		p := phases["prefill"][1:]
		for _, span := range p {
			w, err := c.tr.Window(span[0], span[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += w.EnergyJ
			squares += w.EnergyJ * w.EnergyJ
			modelled += w.RandomRel / float64(len(p))
		}
		n := float64(len(p))
		mean := sum / n
		cv2 := (squares/n - mean*mean) / mean / mean
		t.Logf("%s: mean %.2f J, CV² %.3g, modelled %.4f", c.name, mean, cv2, modelled)
		if cv2 > c.most*c.most || cv2 <= 0 {
			t.Errorf("%s: equal windows scatter by CV² = %g", c.name, cv2)
		}
		// The model must not promise more than the windows keep.
		if modelled*modelled < cv2 {
			t.Errorf("%s: modelled random error %g is below the scatter seen, CV² = %g", c.name, modelled, cv2)
		}
	}
}

// Adjoining windows add up to the window over both, for every reading: no joule is
// lost or counted twice at an edge.
func TestWindowsAddUp(t *testing.T) {
	ring, counter, phases := recording(t)
	from, to := phases["prefill"][0][0], phases["prefill"][79][1]
	for _, r := range []Reading{ReadingInstant, ReadingIntervalMean, ReadingTrailingMean, ReadingCounter} {
		tr := counter
		if r != ReadingCounter {
			d := ring.Domain
			d.Reading, d.AveragingNs = r, 20e6
			tr = trace(t, d, ring.CompleteUntilNs, ring.Samples()...)
		}
		whole, err := tr.Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for k := int64(0); k < 9; k++ {
			part, err := tr.Window(from+(to-from)*k/9, from+(to-from)*(k+1)/9)
			if err != nil {
				t.Fatal(err)
			}
			sum += part.EnergyJ
		}
		near(t, string(r)+": parts", sum, whole.EnergyJ, 1e-10)
	}
}
