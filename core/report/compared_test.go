package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/sdk"
)

func printed(t *testing.T, s Summary, o TableOptions) string {
	t.Helper()
	var b strings.Builder
	if err := Table(&b, s, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func warning(s Summary, code string) (Warning, bool) {
	i := slices.IndexFunc(s.Warnings, func(w Warning) bool { return w.Code == code })
	if i < 0 {
		return Warning{}, false
	}
	return s.Warnings[i], true
}

// with gives every trial of the quickstart a model identity of its cell's.
func with(identity func(cell string, block int) sdk.ModelIdentity) []result.Trial {
	list := quickstart()
	for i := range list {
		list[i].Load.Report.Model = identity(list[i].Cell.ID, list[i].Block)
	}
	return list
}

// Models that nobody names may be different ones.
func TestUnknownModelsAreNotCompared(t *testing.T) {
	s := Summarize(with(func(string, int) sdk.ModelIdentity { return sdk.ModelIdentity{} }), nil, Options{})
	w, ok := warning(s, "model_unknown")
	if !ok || w.Severity != energy.SeverityWarning || !slices.Equal(w.Cells, []string{"f16", "q8_0"}) {
		t.Errorf("warnings: %+v", s.Warnings)
	}
	if g := s.Groups[0]; len(g.Comparisons) != 0 || !strings.Contains(g.NotCompared, "which model it ran") {
		t.Errorf("%+v", g)
	}
	if text := printed(t, s, TableOptions{}); !strings.Contains(text, "\nnot compared: the engine does not say which model") || strings.Contains(text, " / ") {
		t.Errorf("table:\n%s", text)
	}
	// Unranked cells are in no order of merit.
	if s.Cells[0].Label != "f16" {
		t.Errorf("the first cell is %s", s.Cells[0].Label)
	}
	// One cell alone is compared with nothing.
	alone := slices.DeleteFunc(with(func(string, int) sdk.ModelIdentity { return sdk.ModelIdentity{} }), func(x result.Trial) bool { return x.Cell.ID == "f16" })
	if s := Summarize(alone, nil, Options{}); s.Cells[0].NotCompared != "" || strings.Contains(printed(t, s, TableOptions{}), "not compared") {
		t.Errorf("alone: %+v", s.Cells[0])
	}
}

// Quantisations of a base have artifacts of their own; the trials of a cell
// have one.
func TestModelOfACellMustNotChange(t *testing.T) {
	digests := func(changed string) func(string, int) sdk.ModelIdentity {
		return func(cell string, block int) sdk.ModelIdentity {
			m := sdk.ModelIdentity{Base: "small", ArtifactDigest: "sha256:" + cell}
			if cell == changed && block == 2 {
				m.ArtifactDigest = "sha256:other"
			}
			return m
		}
	}
	s := Summarize(with(digests("")), nil, Options{})
	if _, ok := warning(s, "model_changed"); ok || len(s.Groups[0].Comparisons) != 1 {
		t.Errorf("quantisations: %+v", s.Groups[0])
	}
	s = Summarize(with(digests("f16")), nil, Options{})
	w, ok := warning(s, "model_changed")
	if !ok || !slices.Equal(w.Cells, []string{"f16"}) || !strings.Contains(w.Message, "different artifacts: sha256:f16 (block 1) and sha256:other (block 3)") {
		t.Errorf("warnings: %+v", s.Warnings)
	}
	if len(s.Groups[0].Comparisons) != 0 || s.Cells[1].Label != "f16" || s.Cells[1].NotCompared != w.Message || s.Cells[0].NotCompared != "no other cell here can be ranked" {
		t.Errorf("%+v", s.Cells)
	}
	// Another base makes another row of the same cell; neither is ranked.
	s = Summarize(with(func(cell string, block int) sdk.ModelIdentity {
		return sdk.ModelIdentity{Base: map[bool]string{true: "other", false: "small"}[cell == "q8_0" && block == 1]}
	}), nil, Options{})
	if w, ok := warning(s, "model_changed"); !ok || w.Count != 2 || len(s.Cells) != 3 || len(s.Groups[0].Comparisons)+len(s.Groups[1].Comparisons) != 0 {
		t.Errorf("another base: %+v", s)
	}
}

// Every cell outside of the comparisons is named with its reason.
func TestReasonsOfCellsNotCompared(t *testing.T) {
	once := aTrial("once", 0, 0.4)
	apart := []result.Trial{aTrial("apart", 7, 0.9), aTrial("apart", 8, 0.91)}
	mute := aTrial("mute", 0, 0.5)
	mute.Windows[0].EnergyPerOutputTokenJ = nil
	elsewhere := []result.Trial{modelled(aTrial("elsewhere", 0, 0.3)), modelled(aTrial("elsewhere", 1, 0.31))}
	s := Summarize(slices.Concat(quickstart(), []result.Trial{once, mute}, apart, elsewhere), []result.Trial{failedRun("broken", 0)}, Options{})
	want := map[string]string{
		"q8_0": "", "f16": "", "once": "one load gives no interval, so the order of rows is no ranking; run more cycles", "apart": "it shares no block with f16",
		"mute": "no energy or no output token in a window (block 1)", "elsewhere": "no other cell has the same boundary, workload and model",
		"broken": "no trial of it can be used",
	}
	text := printed(t, s, TableOptions{})
	for _, c := range s.Cells {
		if c.NotCompared != want[c.Label] {
			t.Errorf("%s: %q, want %q", c.Label, c.NotCompared, want[c.Label])
		}
		if why := want[c.Label]; why != "" && c.Label != "broken" && !strings.Contains(text, "\nnot compared ("+c.Label+"): "+why+"\n") {
			t.Errorf("%s is not in\n%s", c.Label, text)
		}
	}
	if len(s.Groups[0].Comparisons) != 1 {
		t.Errorf("%+v", s.Groups[0])
	}
}

// A grouped warning shows the worst of its figures and whose it is.
func TestWorstOfAWarning(t *testing.T) {
	var list []result.Trial
	for block, d := range []float64{0, 0.1, 0.2} {
		list = append(list, aTrial("calm", block, 0.5+d), aTrial("wild", block, 0.5+2*d))
	}
	for i, s := range []string{"8.0", "6.0", "9.0"} {
		list[i].Windows[0].ToNs = list[i].Windows[0].FromNs + int64(s[0]-'0')*1e9
		list[i].Warnings = append(list[i].Warnings, energy.Warning{Code: "window_short", Severity: energy.SeverityWarning, Message: "a window lasts " + s + " s"})
	}
	for _, order := range [][]result.Trial{list, {list[1], list[0], list[2], list[3], list[4], list[5]}} {
		s := Summarize(order, nil, Options{})
		if w, _ := warning(s, "window_short"); w.Cell != "wild" || w.Message != "a window lasts 6.0 s" || !w.Weighed || w.Count != 3 {
			t.Errorf("%+v", w)
		}
		cv, _ := warning(s, stats.CodeCVHigh)
		for _, c := range s.Cells {
			if e := estimate(t, c, MetricTokensPerS); c.Label == "wild" && !strings.Contains(cv.Message, percentOf(*e.CV)) {
				t.Errorf("%+v, but the worst CV is %v", cv, *e.CV)
			}
		}
		if text := printed(t, s, TableOptions{}); cv.Cell != "wild" || !strings.Contains(text, "warning cv_high (in 2 of 2 cells): worst in wild: ") {
			t.Errorf("%+v in\n%s", cv, text)
		}
	}
}

func percentOf(share float64) string { return digits(100*share, 1) + " %" }

// An interval that reaches below zero stays, and a note says so.
func TestIntervalBelowZeroIsANote(t *testing.T) {
	s := Summarize([]result.Trial{aTrial("a", 0, 0.1), aTrial("a", 1, 0.9)}, nil, Options{})
	e := estimate(t, s.Cells[0], MetricEnergyPerToken)
	w, ok := warning(s, stats.CodeBelowZero)
	if *e.Lo >= 0 || !e.Has(stats.CodeBelowZero) || !ok || w.Severity != energy.SeverityInfo {
		t.Errorf("%+v; warnings %+v", e, s.Warnings)
	}
	if text := printed(t, s, TableOptions{}); !strings.Contains(text, "\nnote interval_below_zero (in 1 of 1 cells): ") {
		t.Errorf("table:\n%s", text)
	}
}

// Why a source was chosen can be long: it does not run away to the right, in a
// pipe neither.
func TestLongReasonOfASource(t *testing.T) {
	list := quickstart()
	for i := range list {
		list[i] = modelled(list[i])
		list[i].Sources[0].Why = "auto: nothing measures here; not opened: energy source rapl: open: no RAPL counter: /sys/class/powercap does not exist, and hypervisors do not pass the counters on"
	}
	for _, o := range []TableOptions{{}, {Terminal: true, Width: 100}} {
		want := "\nenergy: cpu_package estimated by hostpower (auto: nothing measures here)\n" +
			"  not opened: energy source rapl: open: no RAPL counter: /sys/class/powercap does not exist, and\n" +
			"      hypervisors do not pass the counters on\n  covers "
		if text := printed(t, Summarize(list, nil, Options{}), o); !strings.Contains(text, want) {
			t.Errorf("%+v:\n%s\nlacks\n%s", o, text, want)
		}
	}
}

// On a terminal no sentence below the table is wider than the terminal, and
// many labels are counted.
func TestParagraphsFit(t *testing.T) {
	var list []result.Trial
	for _, name := range []string{"one", "two", "three", "four", "five", "six"} {
		for block := range 2 {
			x := aTrial("a cell named "+name, block, 0.5+0.01*float64(block))
			x.Sources[0].Why = "auto: readable, and said at some length so that it does not fit on one line of any terminal"
			list = append(list, x)
		}
	}
	list = append(list, modelled(aTrial("other", 0, 0.4)))
	s := Summarize(list, nil, Options{})
	text := printed(t, s, TableOptions{Terminal: true, Width: 80})
	_, below, _ := strings.Cut(text, "\nenergy")
	if widest(below) > 80 {
		t.Errorf("wider than 80:\n%s", below)
	}
	whole := printed(t, s, TableOptions{})
	if strings.Join(strings.Fields(asciiForms.Replace(below)), " ") != strings.Join(strings.Fields(whole[strings.Index(whole, "\nenergy")+len("\nenergy"):]), " ") {
		t.Errorf("words were lost:\n%s\nof\n%s", below, whole)
	}
	if !strings.Contains(whole, "energy of a cell named five, a cell named four, a cell named one, a cell named six and 2 more:\n") {
		t.Errorf("labels:\n%s", whole)
	}
}
