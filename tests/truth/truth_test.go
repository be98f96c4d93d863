package main

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/stats"
)

func TestWaveIsExact(t *testing.T) {
	w := newWave(1000)
	w.add(second, 100)
	w.add(2*second, 300)
	for _, c := range []struct {
		from, to int64
		want     float64
	}{
		{1000, 1000 + 3*second, 700},
		{1000 + second/2, 1000 + 3*second/2, 50 + 150},
		{1000 - second, 1000, 100}, // power goes on beyond the ends
		{1000 + 3*second, 1000 + 4*second, 300},
	} {
		if got := w.between(c.from, c.to); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d to %d: %g J, want %g", c.from, c.to, got, c.want)
		}
		k := walk{w: w}
		if got := k.energy(c.to) - k.energy(c.from); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("walked %d to %d: %g J, want %g", c.from, c.to, got, c.want)
		}
	}
	cold := server
	cold.warmingRel = 0
	w = newWave(0)
	cold.run(w, 3, nil)
	if got, want := w.between(0, w.end()), 3*(cold.prefillJ()+cold.decodeJ()); math.Abs(got/want-1) > 1e-12 || w.end() != 3*cold.passNs() {
		t.Errorf("three passes: %g J, want %g", got, want)
	}
}

// The power of the t test, three ways: the reference's noncentral t, the product's
// integral, and this program's series.
func TestNoncentralT(t *testing.T) {
	text, err := os.ReadFile("../../core/stats/testdata/stat_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Rows []struct {
			CV    float64 `json:"cv"`
			N     int     `json:"n_per_arm"`
			Exact float64 `json:"unpaired_exact_nct"`
		} `json:"minimal_detectable_difference_80pct_power_5pct"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Rows {
		se, df := v.CV*math.Sqrt(2/float64(v.N)), float64(2*v.N-2)
		if got := power(v.Exact/se, df); math.Abs(got-stats.Power) > 1e-6 {
			t.Errorf("cv %g, n = %d: the reference's difference has power %.8f", v.CV, v.N, got)
		}
		mdd, err := stats.MDDUnpairedExact(v.CV, v.N)
		if err != nil {
			t.Fatal(err)
		}
		if got := power(mdd/se, df); math.Abs(got-stats.Power) > 1e-6 {
			t.Errorf("cv %g, n = %d: the product's difference has power %.8f", v.CV, v.N, got)
		}
	}
	if len(vectors.Rows) < 10 {
		t.Errorf("only %d rows of reference", len(vectors.Rows))
	}
	if got := power(0, 4); math.Abs(got-0.05) > 1e-12 {
		t.Errorf("power at no difference = %.15f", got)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		f       figure
		verdict string
		missed  bool
	}{
		{percent("T", "", 0.01), "", false},
		{percent("T", "", 0.01).atMost(1), "reached", false},
		{percent("T", "", 0.01).atLeast(2), "MISSED", true},
		{percent("T", "", 0.01).within(-1, 0.9), "MISSED", true},
		{percent("T", "", math.NaN()).within(-1, 1), "MISSED", true},
	} {
		if c.f.verdict() != c.verdict || c.f.missed() != c.missed {
			t.Errorf("%+v: %q, %v", c.f, c.f.verdict(), c.f.missed())
		}
	}
	known := percent("T", "", 0.0105).atMost(1)
	known.known = 0.1
	if known.verdict() != "not reached" || known.missed() {
		t.Errorf("%+v: %q", known, known.verdict())
	}
}

func TestPlot(t *testing.T) {
	p := plot{title: "a < b", logX: true, lines: []line{{name: "l", x: []float64{1, 100}, y: []float64{0, 1}}, {name: "m", dashed: true, x: []float64{1, 100}, y: []float64{0.5, 0.5}}}}
	svg := p.svg()
	for _, want := range []string{"a &lt; b", `points="70.0,370.0 700.0,40.0"`, "stroke-dasharray", ">10</text>"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in\n%s", want, svg)
		}
	}
}
