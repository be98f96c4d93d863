package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
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
	}
	if len(vectors.Rows) < 10 {
		t.Errorf("only %d rows of reference", len(vectors.Rows))
	}
	if got := power(0, 4); math.Abs(got-0.05) > 1e-12 {
		t.Errorf("power at no difference = %.15f", got)
	}
}

// Every sensor that integrates all time gives a steady load its joules, whatever
// its gain and offset; and the same seed gives the same bits.
func TestSensorsOnASteadyLoad(t *testing.T) {
	steady := engine{prefillNs: second / 10, prefillW: 400, tokens: 1}
	f := fault{gain: 0.03, offsetW: 4}
	for _, s := range sensors() {
		run := func() measured {
			m, err := trial(s, steady, 10*second, 1, 50, func(int) float64 { return 1 }, f, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(s.name, err)
			}
			return m[0]
		}
		m := run()
		if math.Abs(m.sensorJ-404*5/1.03) > 1e-9 || math.Abs(m.trueJ-2000) > 1e-9 {
			t.Errorf("%s: truth %g J, on the sensor's scale %g J", s.name, m.trueJ, m.sensorJ)
		}
		most := 1e-5 // milliwatts
		if s.domain.Reading == energy.ReadingCounter {
			most = 4e-3 // of 5 s, the edges are known to 10 ms of a poll, and the lag's spread
		}
		if math.Abs(m.off()) > most {
			t.Errorf("%s: off by %g", s.name, m.off())
		}
		if again := run(); again.window.EnergyJ != m.window.EnergyJ {
			t.Errorf("%s: %g J, then %g J", s.name, m.window.EnergyJ, again.window.EnergyJ)
		}
	}
}

func TestLeastSquares(t *testing.T) {
	var x [][3]float64
	var y []float64
	for i := range 10 {
		a, b := float64(i), float64(i*i%7)
		x, y = append(x, [3]float64{1, a, b}), append(y, 3+2*a-5*b)
	}
	got, ok := leastSquares(x, y)
	for i, want := range []float64{3, 2, -5} {
		if !ok || math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("%v, %v", got, ok)
		}
	}
	if _, ok := leastSquares(nil, nil); ok {
		t.Error("no points were solved")
	}
}

// The number of cores changes no result.
func TestEachIsTheSameOnAnyMachine(t *testing.T) {
	draw := func(r *rand.Rand, i int) (float64, error) { return float64(i) + r.Float64(), nil }
	many, err := each(100, 7, draw)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range many {
		if want, _ := draw(rand.New(rand.NewPCG(7, uint64(i))), i); v != want {
			t.Fatalf("result %d is %g, want %g", i, v, want)
		}
	}
	if _, err := each(3, 7, func(*rand.Rand, int) (int, error) { return 0, os.ErrInvalid }); err == nil {
		t.Error("an error was swallowed")
	}
}

// The recording's section, which is fast, must meet its targets.
func TestRecorded(t *testing.T) {
	t.Chdir("../..")
	r, err := recorded(effort{studies: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.figures) < 15 {
		t.Errorf("%d figures", len(r.figures))
	}
	for _, f := range excused(r.figures, excuses()) {
		if f.missed() {
			t.Error(f)
		}
	}
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	r := report{
		figures: []figure{percent("T1", "a|b", 0.01).atMost(2)},
		plots:   []plot{{file: "p.svg", title: "P", lines: []line{{name: "l", x: []float64{1, 2}, y: []float64{3, 4}}}}},
		notes:   []string{strings.Repeat("word ", 30)},
	}
	if err := writePage(dir, effort{studies: 10}, []found{{"S", r}}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(dir + "/accuracy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## S\n", `| T1 | a\|b | 1.00 % | <= 2.00 % | reached |`, "![P](accuracy/p.svg)", "go run ./tests/truth -write"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if svg, err := os.ReadFile(dir + "/accuracy/p.svg"); err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("%.20s, %v", svg, err)
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
}

// A row that is off is missed unless it is listed, and no further off than the list
// allows; an excuse that nothing needs is an error.
func TestExcuses(t *testing.T) {
	list := []excuse{{target: "T1", name: "a", most: 1.2, reason: "the load does it"}, {target: "T2", name: "b", unmeasured: true, reason: "nobody looked"}}
	nothing := figure{target: "T2", name: "b", format: "%.2f", unmeasured: true}.atMost(1)
	for _, c := range []struct {
		name    string
		figures []figure
		err     string
	}{
		{"both needed", []figure{percent("T1", "a", 0.011).atMost(1), nothing, percent("T3", "c", 0.5)}, ""},
		{"too far off", []figure{percent("T1", "a", 0.013).atMost(1), nothing}, "1 targets missed"},
		{"another target's", []figure{percent("T4", "a", 0.011).atMost(1), nothing}, "1 targets missed"},
		{"not listed", []figure{percent("T1", "a", 0.011).atMost(1), nothing, percent("T3", "c", 0.5).atMost(1)}, "1 targets missed"},
		{"not measured and not listed", []figure{percent("T1", "a", 0.011).atMost(1), nothing, {target: "T3", unmeasured: true, hi: 1}}, "1 targets missed"},
		{"measured by now", []figure{percent("T1", "a", 0.011).atMost(1), figure{target: "T2", name: "b", value: 0.5, format: "%.2f"}.atMost(1)}, `excuse of "b"`},
		{"measured, and off", []figure{percent("T1", "a", 0.011).atMost(1), figure{target: "T2", name: "b", value: -1.5, format: "%.2f"}.within(-1, 1)}, "1 targets missed"},
		{"gone", []figure{nothing}, `excuse of "a"`},
	} {
		err := verdict(excused(c.figures, list), list)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
	figures := excused([]figure{percent("T1", "a", 0.011).atMost(1), nothing}, list)
	if text := excusedRows(figures); !strings.Contains(text, "Not reached and excused: the load does it.\n\n- T1, a: 1.10 %, target <= 1.00 %\n") || !strings.Contains(text, "- T2, b: not measured yet, target <= 1.00\n") {
		t.Error(text)
	}
	if v := figures[0].verdict(); v != "not reached, excused" {
		t.Error(v)
	}
}

// What the page says of excuses is what the list holds.
func TestPageHoldsTheExcuses(t *testing.T) {
	page, err := os.ReadFile("../../docs/accuracy.md")
	if err != nil {
		t.Fatal(err)
	}
	list := excuses()
	for _, x := range list {
		if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), "excused: "+x.reason) || !strings.Contains(string(page), "- "+x.target+", "+x.name+": ") {
			t.Errorf("docs/accuracy.md lacks the excuse of %q", x.name)
		}
	}
	if n := strings.Count(string(page), "| not reached, excused"); n != len(list) {
		t.Errorf("docs/accuracy.md has %d excused rows, and %d are listed", n, len(list))
	}
}

// A figure in its limits whose interval leaves them says so, and the page has the rows
// of the stored ones as they would be written.
func TestIntervalsBeyondTheTarget(t *testing.T) {
	for want, f := range map[string]figure{
		"reached": {value: -0.05, interval: &[2]float64{-0.1, 0.02}},
		"estimate reached, interval not; 95 % interval -0.2 % to 0.0 %; n": {value: -0.05, interval: &[2]float64{-0.2, 0.02}, note: "n"},
		"MISSED": {value: -0.11, interval: &[2]float64{-0.2, 0.02}},
	} {
		f.format = "%.1f %%"
		if f = f.within(-0.1, 0.1); !strings.HasPrefix(f.remark(), want) {
			t.Errorf("%q, want %q", f.remark(), want)
		}
	}
	r, err := stored("../../docs/accuracy/gpu.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/accuracy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.figures {
		if row := f.name + " | " + f.shown() + " | " + f.limit() + " | " + f.remark() + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/accuracy.md lacks %s", row)
		}
	}
	if !strings.Contains(string(page), strings.TrimSpace(pageHead)) {
		t.Error("docs/accuracy.md begins otherwise than it is written")
	}
}

// The stored figures of a GPU must be there and within their limits.
func TestHardware(t *testing.T) {
	r, err := stored("../../docs/accuracy/gpu.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range excused(r.figures, excuses()) {
		if f.missed() {
			t.Error(f)
		}
		if f.unmeasured && (f.verdict() != "not reached, excused" || !strings.Contains(f.String(), "not measured yet")) {
			t.Error(f)
		}
	}
	if _, err := stored(t.TempDir() + "/gpu.json"); err == nil || !strings.Contains(err.Error(), "tests/gpu/run.sh") {
		t.Errorf("without the file: %v", err)
	}
	for text, want := range map[string]string{
		`{"figures": [{"target": "T3", "value": 1, "format": "%f", "hi": 2}]}`:                                                                  "no figure with limits for [T5]",
		`{"figures": [{"target": "T3", "value": 3, "format": "%f", "hi": 2}, {"target": "T5", "value": 0, "format": "%f", "lo": -1, "hi": 1}]}`: "",
	} {
		path := t.TempDir() + "/gpu.json"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := stored(path)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) || want == "" && (err != nil || !r.figures[0].missed()) {
			t.Errorf("%s: %v, %v", text, r.figures, err)
		}
	}
}

func TestPlot(t *testing.T) {
	p := plot{title: "a < b", logX: true, lines: []line{{name: "l", x: []float64{1, 100}, y: []float64{0, 1}}, {name: "m", dashed: true, x: []float64{1, 100}, y: []float64{0.5, 0.5}}}}
	svg := p.svg()
	for _, want := range []string{"a &lt; b", `points="70.0,370.0 660.0,40.0"`, "stroke-dasharray", ">10</text>"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in\n%s", want, svg)
		}
	}
}
