package report

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/core/study"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*math.Abs(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func estimate(t *testing.T, c Cell, metric string) stats.Estimate {
	t.Helper()
	e, ok := c.Estimate(metric)
	if !ok {
		t.Fatalf("cell %s has no %s (%v)", c.Label, metric, c.Absent)
	}
	return e
}

// The load is the sample: windows are averaged first, whatever their number.
func TestWindowsOfALoadAreAveragedFirst(t *testing.T) {
	s := Summarize([]result.Trial{aTrial("a", 0, 0.4, 0.6), aTrial("a", 1, 0.7), aTrial("a", 2, 0.5, 0.6, 0.7)}, nil, Options{})
	e := estimate(t, s.Cells[0], MetricEnergyPerToken)
	near(t, "centre", e.Centre, (0.5+0.7+0.6)/3)
	if e.N != 3 || e.Method != stats.MethodT {
		t.Errorf("n = %d, method %s", e.N, e.Method)
	}
	near(t, "half-width", (*e.Hi-*e.Lo)/2, 4.302652729749464*0.1/math.Sqrt(3)) // t(0.975, 2)
	near(t, "systematic part", *e.SystematicRel, 0.05)
	near(t, "random part", *e.RandomRel, (*e.Hi-*e.Lo)/2/e.Centre)
	near(t, "power", estimate(t, s.Cells[0], MetricPower).Centre, 60)
	near(t, "J/request", estimate(t, s.Cells[0], MetricEnergyPerRequest).Centre, 60)
	near(t, "TPOT", estimate(t, s.Cells[0], MetricTPOT).Centre, 8*0.6)
	if e.Boundary != "cpu_package[package-0]" || estimate(t, s.Cells[0], MetricTokensPerS).Boundary != "" {
		t.Errorf("boundaries %q and %q", e.Boundary, estimate(t, s.Cells[0], MetricTokensPerS).Boundary)
	}
}

func TestOneLoadHasNoInterval(t *testing.T) {
	s := Summarize([]result.Trial{aTrial("a", 0, 0.4, 0.6)}, nil, Options{})
	e := estimate(t, s.Cells[0], MetricEnergyPerToken)
	if e.HasInterval() || e.N != 1 || !e.Has(stats.CodeSingleCycle) || e.Method != stats.MethodModelledEdge {
		t.Errorf("%+v", e)
	}
	grouped := aTrial("a", 0, 0.4, 0.6)
	grouped.Cell.Grouped = true
	s = Summarize([]result.Trial{grouped}, nil, Options{})
	if e := estimate(t, s.Cells[0], MetricEnergyPerToken); !e.HasInterval() || e.N != 2 || !e.Has(stats.CodeSingleLoad) {
		t.Errorf("grouped: %+v", e)
	}
}

func TestFatalTrialsAreCountedAndLeftOut(t *testing.T) {
	wild := aTrial("a", 3, 99)
	wild.Windows[0].Warnings = []energy.Warning{{Code: "no_output", Severity: energy.SeverityFatal}}
	unranked := aTrial("a", 4, 99)
	unranked.Ranked = false
	hollow := aTrial("a", 5)
	s := Summarize([]result.Trial{aTrial("a", 0, 0.5), aTrial("a", 1, 0.6), wild, unranked, hollow}, []result.Trial{failedRun("a", 2)}, Options{})
	c := s.Cells[0]
	near(t, "centre", estimate(t, c, MetricEnergyPerToken).Centre, 0.55)
	if len(s.Cells) != 1 || c.Trials != 2 || c.Excluded != 3 || c.Failed != 1 {
		t.Errorf("%d cells; trials %d, excluded %d, failed %d", len(s.Cells), c.Trials, c.Excluded, c.Failed)
	}
	var codes []string
	for _, x := range s.Excluded {
		codes = append(codes, x.Codes...)
	}
	if diff := cmp.Diff([]string{"no_output", "not_ranked", "no_windows"}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if s.Failed[0].Log != "attempts/a-b2-01020304/log.txt" || s.Failed[0].Phase != "run" {
		t.Errorf("failed: %+v", s.Failed[0])
	}
}

func TestBoundariesNeverMeet(t *testing.T) {
	// One cell under two boundaries gives two rows, not a mean of both.
	s := Summarize([]result.Trial{aTrial("a", 0, 0.5), aTrial("a", 1, 0.5), modelled(aTrial("a", 2, 0.1)), modelled(aTrial("a", 3, 0.1))}, nil, Options{})
	if len(s.Cells) != 2 || len(s.Groups) != 2 {
		t.Fatalf("%d cells in %d groups", len(s.Cells), len(s.Groups))
	}
	for _, c := range s.Cells {
		want := 0.5
		if c.Estimated {
			want = 0.1
		}
		near(t, c.Boundary, estimate(t, c, MetricEnergyPerToken).Centre, want)
	}
	if len(s.Groups[0].Comparisons)+len(s.Groups[1].Comparisons) != 0 {
		t.Error("cells of different boundaries were compared")
	}
	if !slices.ContainsFunc(s.Warnings, func(w Warning) bool { return w.Code == "different_boundaries" }) {
		t.Errorf("warnings: %+v", s.Warnings)
	}
}

func TestComparisonNeedsTheSameWork(t *testing.T) {
	list := quickstart()
	list[1].Work.PassHashes = []string{"something else"}
	s := Summarize(list, nil, Options{})
	if g := s.Groups[0]; len(g.Comparisons) != 0 || !strings.Contains(g.NotCompared, "did not run the same requests (block 1, pass 1)") {
		t.Errorf("%+v", g)
	}
	// A longer run of the same passes is the same work.
	list = quickstart()
	list[1].Work.PassHashes = append(list[1].Work.PassHashes, "one more")
	if s := Summarize(list, nil, Options{}); len(s.Groups[0].Comparisons) != 1 {
		t.Errorf("%+v", s.Groups[0])
	}
	// Another workload or base model is a stratum of its own.
	for name, change := range map[string]func(*result.Trial){
		"workload": func(t *result.Trial) { t.Work.Hash = "other" },
		"model":    func(t *result.Trial) { t.Load.Report.Model.Base = "other" },
	} {
		list = quickstart()
		for i := range list {
			if list[i].Cell.ID == "f16" {
				change(&list[i])
			}
		}
		if s := Summarize(list, nil, Options{}); len(s.Groups) != 2 || len(s.Groups[0].Comparisons) != 0 {
			t.Errorf("another %s: %+v", name, s.Groups)
		}
	}
}

func TestFactors(t *testing.T) {
	trials := []result.Trial{aTrial("a", 0, 0.36), aTrial("a", 1, 0.72)}
	for _, c := range []struct {
		user      study.UserConfig
		co2, cost float64
		unit      string
	}{
		{user: study.UserConfig{}},
		{user: study.UserConfig{PUE: 1.5}},
		{user: study.UserConfig{GridIntensityGPerKWh: 400}, co2: 60},
		{user: study.UserConfig{GridIntensityGPerKWh: 400, PUE: 1.5}, co2: 90},
		{user: study.UserConfig{TariffPerKWh: 0.2, Currency: "EUR"}, cost: 0.03, unit: "EUR/Mtoken"},
		{user: study.UserConfig{TariffPerKWh: 0.2}, cost: 0.03, unit: "currency/Mtoken"},
	} {
		s := Summarize(trials, nil, Options{User: c.user})
		perToken := estimate(t, s.Cells[0], MetricEnergyPerToken)
		for metric, want := range map[string]float64{MetricCO2: c.co2, MetricCost: c.cost} {
			e, ok := s.Cells[0].Estimate(metric)
			if ok != (want > 0) {
				t.Errorf("%+v: %s is there: %v", c.user, metric, ok)
			}
			if !ok {
				continue
			}
			near(t, metric, e.Centre, want)
			near(t, metric+" low", *e.Lo/e.Centre, *perToken.Lo/perToken.Centre)
			near(t, metric+" random part", *e.RandomRel, *perToken.RandomRel)
			if e.Boundary != perToken.Boundary || metric == MetricCost && e.Unit != c.unit {
				t.Errorf("%+v", e)
			}
		}
		if (s.Factors != nil) != (c.co2 > 0 || c.cost > 0) {
			t.Errorf("%+v: factors %+v", c.user, s.Factors)
		}
		if f := s.Factors; f != nil {
			stored := study.UserConfig{Currency: f.Currency}
			for _, one := range []struct{ to, from *float64 }{{&stored.GridIntensityGPerKWh, f.GridGPerKWh}, {&stored.TariffPerKWh, f.TariffPerKWh}, {&stored.PUE, f.PUE}} {
				if one.from != nil {
					*one.to = *one.from
				}
			}
			if diff := cmp.Diff(c.user, stored); diff != "" {
				t.Errorf("the stored factors differ from those configured:\n%s", diff)
			}
		}
	}
}

// Whatever is measured beside the headline changes no headline number.
func TestOtherDomainsAreNeverAdded(t *testing.T) {
	plain := Summarize(quickstart(), nil, Options{})
	list := quickstart()
	for i := range list {
		list[i] = withDRAM(list[i], 0.25)
	}
	s := Summarize(list, nil, Options{})
	for i, c := range s.Cells {
		if diff := cmp.Diff(plain.Cells[i].Estimates, c.Estimates); diff != "" {
			t.Errorf("headline (-without +with):\n%s", diff)
		}
		if len(c.Domains) != 1 || c.Domains[0].ID != "rapl/dram-0" {
			t.Fatalf("domains: %+v", c.Domains)
		}
		e, _ := c.Domains[0].Estimate(MetricEnergyPerToken)
		near(t, "dram", e.Centre, estimate(t, c, MetricEnergyPerToken).Centre/4)
		near(t, "dram sensor", *e.SystematicRel, 0.1)
		if e.Boundary != "dram[rapl/dram-0]" {
			t.Errorf("boundary %q", e.Boundary)
		}
	}
	list[0].Windows[0].Domains[1].Error = "the source stopped"
	s = Summarize(list, nil, Options{})
	if c := s.Cells[1]; len(c.Domains[0].Estimates) != 0 || c.Domains[0].Absent[MetricPower] == "" {
		t.Errorf("a domain that failed once: %+v", c.Domains)
	}
}

func TestAbsentMetricsSayWhy(t *testing.T) {
	half := aTrial("a", 1, 0.5)
	half.Windows[0].TTFT = nil
	s := Summarize([]result.Trial{aTrial("a", 0, 0.5), half}, nil, Options{})
	if _, ok := s.Cells[0].Estimate(MetricTTFT); ok || !strings.Contains(s.Cells[0].Absent[MetricTTFT], "first token (block 2)") {
		t.Errorf("absent: %v", s.Cells[0].Absent)
	}
	if s := Summarize(nil, []result.Trial{{Cell: result.Cell{ID: "x"}}}, Options{}); s.Cells[0].Absent[MetricPower] == "" || s.Failed[0].Phase != "unknown" || s.Cells[0].Label != "x" {
		t.Errorf("%+v", s)
	}
}

// No order of the trials and no set of them breaks the summary, and all of it
// can be rendered.
func TestSummaryOfAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var trials, failed []result.Trial
		for block := range rapid.IntRange(0, 4).Draw(r, "blocks") {
			for _, cell := range []string{"a", "b", "c"} {
				switch rapid.IntRange(0, 5).Draw(r, "fate") {
				case 0:
					failed = append(failed, failedRun(cell, block))
				case 1:
					trials = append(trials, modelled(aTrial(cell, block, 0.5)))
				case 2:
					x := aTrial(cell, block, 0.5)
					x.Windows[0].EnergyJ, x.Windows[0].EnergyPerOutputTokenJ = nil, nil
					trials = append(trials, x)
				default:
					n := rapid.IntRange(0, 3).Draw(r, "windows")
					var joules []float64
					for range n {
						joules = append(joules, rapid.Float64Range(1e-6, 1e6).Draw(r, "joules"))
					}
					trials = append(trials, aTrial(cell, block, joules...))
				}
			}
		}
		s := Summarize(trials, failed, Options{User: study.UserConfig{TariffPerKWh: 1, PUE: 1.1}})
		shuffled := rapid.Permutation(trials).Draw(r, "order")
		again := Summarize(shuffled, failed, Options{User: study.UserConfig{TariffPerKWh: 1, PUE: 1.1}})
		if len(again.Cells) != len(s.Cells) || len(again.Excluded) != len(s.Excluded) {
			r.Fatalf("another order gives %d cells, %d excluded, not %d and %d", len(again.Cells), len(again.Excluded), len(s.Cells), len(s.Excluded))
		}
		counted := 0
		for _, c := range s.Cells {
			counted += c.Trials + c.Excluded + c.Failed
		}
		if counted != len(trials)+len(failed) {
			r.Fatalf("%d of %d trials are counted", counted, len(trials)+len(failed))
		}
		var js, rows strings.Builder
		if err := errors.Join(JSON(&js, s), CSV(&rows, s), Table(&strings.Builder{}, s, TableOptions{Width: 80})); err != nil {
			r.Fatal(err)
		}
		var back Summary
		if err := json.Unmarshal([]byte(js.String()), &back); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(s, back, cmpopts.IgnoreUnexported(Cell{}, Warning{}), cmpopts.EquateEmpty()); diff != "" {
			r.Fatalf("JSON (-written +read):\n%s", diff)
		}
		if _, err := csv.NewReader(strings.NewReader(rows.String())).ReadAll(); err != nil {
			r.Fatal(err)
		}
	})
}

func TestWriteDerived(t *testing.T) {
	dir := t.TempDir()
	s := Summarize(quickstart(), nil, Options{Dir: dir})
	for range 2 { // made again in place
		if err := WriteDerived(dir, s); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil || strings.Contains(string(text), dir) {
		t.Errorf("summary.json names the directory that it lies in (%v)", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%v", entries)
	}
	if err := WriteDerived(filepath.Join(dir, "absent"), s); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("no directory: %v", err)
	}
}
