package report

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// Where nothing measures, no sensor is named, and the parts of the bounds are.
func TestBoundsOfAModel(t *testing.T) {
	parts := func(gain, offsetW float64) []result.Trial {
		var list []result.Trial
		for block := range 2 {
			x := modelled(aTrial("a", block, 0.5+0.01*float64(block)))
			w := &x.Windows[0]
			d := &w.Domains[0].Window
			d.MeanPowerW, d.GainRel, d.OffsetW = *w.MeanPowerW, gain, offsetW
			w.SystematicRel = ptr(d.SystematicRel())
			list = append(list, x)
		}
		return list
	}
	text := printed(t, Summarize(parts(1, 7.5), nil, Options{}), TableOptions{Terminal: true})
	if !strings.Contains(text, " ±115 % (model: gain ±100 %, offset ±15 %)\n") || strings.Contains(text, "sensor") {
		t.Errorf("modelled:\n%s", text)
	}
	// Parts that do not make the whole are not shown.
	list := parts(1, 7.5)
	list[0].Windows[0].SystematicRel = ptr(2.0)
	if text := printed(t, Summarize(list, nil, Options{}), TableOptions{}); !strings.Contains(text, " +/-200 % (model)\n") {
		t.Errorf("other parts:\n%s", text)
	}
	if text := printed(t, Summarize(quickstart(), nil, Options{}), TableOptions{}); !strings.Contains(text, " +/-5 % (sensor)\n") {
		t.Errorf("measured:\n%s", text)
	}
	mixed := quickstart()
	for i := range mixed {
		d := energy.Domain{ID: "hostpower/cpu", Kind: energy.KindCPUPackage, Estimated: true}
		mixed[i].Headline = append(mixed[i].Headline, d.ID)
		mixed[i].Sources = append(mixed[i].Sources, result.Source{Name: "hostpower", Domains: []energy.Domain{d}})
	}
	if text := printed(t, Summarize(mixed, nil, Options{}), TableOptions{}); !strings.Contains(text, " (sensor and model)\n") {
		t.Errorf("both:\n%s", text)
	}
}

// A difference that only nonsense would show is no percentage.
func TestUnresolvedDifferenceSaysWhatWouldShow(t *testing.T) {
	for spread, want := range map[float64]string{
		0.05: " / a = 1.02x [0.88, 1.17], no difference resolved; these 3 blocks would show one of ",
		0.7:  " times or more\n",
	} {
		var list []result.Trial
		for block, sign := range []float64{1, -1, 1} {
			list = append(list, aTrial("a", block, 0.5), aTrial("b", block, 0.5*(1+sign*spread)))
		}
		text := printed(t, Summarize(list, nil, Options{}), TableOptions{})
		if !strings.Contains(text, want) || !strings.Contains(text, "mean over blocks; below 1 is better):") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := difference(1.42); got != "142 %" {
		t.Errorf("difference(1.42) = %s", got)
	}
}

// The CSV has the doubts of a cell's trials and windows in each of its rows, and
// those of one domain in that domain's alone.
func TestCSVHasTheDoubtsOfTheTrials(t *testing.T) {
	var list []result.Trial
	for block := range 3 {
		x := withDRAM(modelled(random(aTrial("a", block, 0.5))), 0.1)
		if block == 1 {
			x.Warnings = append(x.Warnings, energy.Warning{Code: "not_warm", Severity: energy.SeverityWarning})
			x.Windows[0].Domains[1].Window.Warnings = []energy.Warning{{Code: energy.CodeLowCoverage, Severity: energy.SeverityWarning, Domain: "rapl/dram-0"}}
		}
		list = append(list, x, aTrial("clean", block, 0.4+0.01*float64(block)))
	}
	var text strings.Builder
	if err := CSV(&text, Summarize(list, nil, Options{})); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(row []string, column string) string { return row[slices.Index(rows[0], column)] }
	for _, row := range rows[1:] {
		codes := strings.Fields(at(row, "warnings"))
		cell, domain := at(row, "cell"), at(row, "domain")
		for code, want := range map[string]bool{
			"not_warm":             cell == "a",
			energy.CodeEstimated:   cell == "a" && domain == "",
			energy.CodeLowCoverage: domain != "",
			"random_weights":       false, // a column of its own
		} {
			if slices.Contains(codes, code) != want {
				t.Errorf("%s %q %s: %v: %s is wanted: %v", cell, domain, at(row, "metric"), codes, code, want)
			}
		}
	}
}
