package nvml

import (
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
)

// recordedGPU answers as a real H100 did: with what its ring and its counter held
// at a moment of the recording, which begins when the test does.
type recordedGPU struct {
	*fakeGPU
	ring    []ringSample
	counter []counterRead // changes
	beganNs int64         // wall clock of the recording
	began   time.Time
}

func (g *recordedGPU) wallNs() int64 { return g.beganNs + int64(time.Since(g.began)) }

func (g *recordedGPU) PowerRing(lastUs uint64) ([]ringSample, error) {
	time.Sleep(g.ringCost)
	seen := slices.IndexFunc(g.ring, func(s ringSample) bool { return int64(s.WallUs)*1000 > g.wallNs()-23e6 })
	if seen < 0 {
		seen = len(g.ring)
	}
	out := slices.Clone(g.ring[max(0, seen-ringDepth):seen])
	return slices.DeleteFunc(out, func(s ringSample) bool { return s.WallUs <= lastUs }), nil
}

func (g *recordedGPU) EnergyMilliJ() (uint64, error) {
	time.Sleep(g.counterCost)
	value := g.counter[0].milliJ
	for _, c := range g.counter {
		if c.ns <= g.wallNs() {
			value = c.milliJ
		}
	}
	return value, nil
}

// rowsOf reads the numbers of a file of the recording; kind is what the first
// column must say, or "".
func rowsOf(t *testing.T, name, kind string) [][]int64 {
	t.Helper()
	f, err := os.Open("../testdata/h100/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]int64
	for _, row := range rows {
		if kind != "" && row[0] != kind {
			continue
		}
		var numbers []int64
		for _, text := range row {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				numbers = append(numbers, n)
			}
		}
		out = append(out, numbers)
	}
	return out
}

// A recorded H100 under the sampler: every ring sample arrives with its own stamp
// and value, and a few counter reads in two bursts and every 10 s check it as
// well as the whole record of the counter does (0.09 % over the prefill phase).
func TestRecordedGPU(t *testing.T) {
	samples, reads, phases := rowsOf(t, "samples.csv", ""), rowsOf(t, "energy.csv", ""), rowsOf(t, "phases.csv", "prefill")
	synctest.Test(t, func(t *testing.T) {
		g := &recordedGPU{fakeGPU: newFake("GPU-1"), beganNs: samples[0][0]*1000 + 100e6, began: time.Now()}
		for _, row := range samples {
			g.ring = append(g.ring, ringSample{WallUs: uint64(row[0]), MilliW: uint64(row[1])})
		}
		for _, row := range reads {
			g.counter = append(g.counter, counterRead{ns: row[1], milliJ: uint64(row[2])})
		}
		s := sourceOf(g.fakeGPU)
		s.clock.wall = g.wallNs
		s.load = func() (driver, error) { return driver{cards: []card{{UUID: g.uuid, gpu: g}}}, nil }

		prefill, last := phases[0][0], phases[len(phases)-1][1]
		var from, to int64
		length := time.Duration(samples[len(samples)-1][0]*1000 - g.beganNs)
		c, domains, err := streamed(t, s, length+2*time.Second, func() {
			time.Sleep(time.Duration(prefill - g.wallNs()))
			from = s.Mark()
			time.Sleep(time.Duration(last-g.wallNs()) - 300*time.Millisecond)
			to = s.Mark()
		})
		if err != nil || len(s.Events(0)) != 0 {
			t.Fatalf("%v %v", err, s.Events(0))
		}
		stamps, values, dropped := c.of("GPU-1")
		if len(stamps) != len(samples) || dropped != 0 {
			t.Fatalf("%d of %d samples, %d dropped", len(stamps), len(samples), dropped)
		}
		zero := stamps[0] - samples[0][0]*1000
		for i, row := range samples {
			if stamps[i] != row[0]*1000+zero || values[i] != row[1] {
				t.Fatalf("sample %d is %d at %d", i, values[i], stamps[i])
			}
		}
		a, err := traceOf(t, c, domains[0]).Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		b, err := traceOf(t, c, domains[1]).Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		ratio, warnings, err := energy.CrossCheck(a, b)
		if err != nil || len(warnings) != 0 || ratio < 0.998 || ratio > 1.003 {
			t.Errorf("ring/counter %v, %v, %v", ratio, warnings, err)
		}
		if reads, _, _ := c.of("GPU-1/counter"); len(reads) > 30+int(length/counterSparsePeriod) {
			t.Errorf("%d counter reads in %v", len(reads), length)
		}
		t.Logf("ring/counter %.4f over %.1f s", ratio, a.DurationS())
	})
}
