package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// onGPU puts a trial's headline on a card.
func onGPU(t result.Trial, uuid string) result.Trial {
	d := energy.Domain{ID: "nvml/" + uuid, Kind: energy.KindGPU, DeviceIDs: []string{uuid}, Source: "nvml"}
	t.Boundary, t.Headline = energy.BoundaryOf(d).String(), []string{d.ID}
	t.Sources = []result.Source{{Name: "nvml", Why: "auto: a cell uses a GPU", Domains: []energy.Domain{d}}}
	for i, w := range t.Windows {
		t.Windows[i].Domains = []result.DomainEnergy{{DomainID: d.ID, Kind: d.Kind, Source: "nvml", Window: energy.Window{EnergyJ: *w.EnergyJ, Method: energy.MethodIntervalMean}}}
		t.Windows[i].EdgeRel = nil
	}
	return t
}

// spreadStudy has three cells over 40 blocks whose windows, loads, blocks and
// cards differ by the standard deviations given.
func spreadStudy(window, load, block, card float64) []result.Trial {
	r := rand.New(rand.NewPCG(8, 9))
	var list []result.Trial
	for b := range 40 {
		inBlock := 1 + block*r.NormFloat64()
		uuid := fmt.Sprintf("GPU-%d", b%4)
		onCard := 1 + card*[]float64{-1, 1, -1, 1}[b%4]
		for c := range 3 {
			of := float64(c+1) * inBlock * onCard * (1 + load*r.NormFloat64())
			t := onGPU(aTrial(fmt.Sprint("c", c), b, of*(1+window*r.NormFloat64()), of*(1+window*r.NormFloat64())), uuid)
			t.StartedUTC, t.FinishedUTC = "2026-01-01T00:00:00Z", "2026-01-01T00:03:20Z"
			list = append(list, t)
		}
	}
	return list
}

func TestWhereTheSpreadComesFrom(t *testing.T) {
	s := Summarize(spreadStudy(0.004, 0.006, 0.01, 0.05), nil, Options{})
	if len(s.Variances) != 1 || len(s.Variances[0].Cells) != 12 { // three cells on four cards
		t.Fatalf("%+v", s.Variances)
	}
	v := s.Variances[0]
	holds := func(what string, lo, hi, want float64) {
		t.Helper()
		if lo > want || hi < want || lo == hi {
			t.Errorf("%s: [%g, %g] does not hold %g", what, lo, hi, want)
		}
	}
	holds("windows", v.Components.WithinLoRel, v.Components.WithinHiRel, 0.004)
	holds("loads", v.Spread.LoadLoRel, v.Spread.LoadHiRel, math.Hypot(0.006, 0.004/math.Sqrt2))
	holds("cards", v.Spread.Cards.CardLoRel, v.Spread.Cards.CardHiRel, 0.05)
	if v.Spread.Cells != 3 || v.Spread.Blocks != 40 || v.Spread.Cards.Cards != 4 {
		t.Errorf("%+v", v.Spread)
	}
	a := v.Advice
	if a.Loads != 10 || a.Windows != 2 || a.LoadS != 180 || a.WindowS != 10 {
		t.Errorf("%+v", a)
	}
	near(t, "now", a.NowRel, v.Components.HalfWidthRel(10, 2))
	near(t, "twice the loads", a.TwiceLoadsRel, v.Components.HalfWidthRel(20, 2))
	near(t, "one more window", *a.MoreWindowsRel, v.Components.HalfWidthRel(10, 3))
	if *a.EfficientWindows != v.Components.EfficientWindows(180, 10) || a.TwiceLoadsRel > a.NowRel || *a.MoreWindowsRel > a.NowRel {
		t.Errorf("%+v", a)
	}
	var text strings.Builder
	if err := Table(&text, s, TableOptions{Terminal: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"windows of a load 0.", "loads in a block 0.", "blocks ", "4 cards ", "with 10 loads of 2 windows", "(a load takes 180 s besides its windows, a window 10 s)", "coverage factor 2.26 at n = 10"} {
		if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
}

// What a load costs is told by the parts where the calendar says nothing.
func TestCostOfALoad(t *testing.T) {
	trial := aTrial("a", 0, 0.5, 0.5)
	trial.Load.BeginNs, trial.Load.EndNs = 5e9, 25e9
	trial.Idle = &result.Idle{FromNs: 25e9, ToNs: 26e9}
	trial.WarmUp = &result.Run{BeginNs: 26e9, EndNs: 29e9}
	trial.Conditioning = &result.Conditioning{FromNs: 30e9, ToNs: 34e9}
	if load, window := costOf(trial); load != 28 || window != 10 {
		t.Errorf("%g s and %g s", load, window)
	}
	trial.StartedUTC, trial.FinishedUTC = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
	if load, _ := costOf(trial); load != 40 {
		t.Errorf("%g s", load)
	}
}

func TestMixedMethodsAreAWarning(t *testing.T) {
	list := spreadStudy(0.004, 0.006, 0, 0)
	for i := range list {
		list[i] = onGPU(list[i], "GPU-0")
	}
	mixed := func() bool {
		for _, w := range Summarize(list, nil, Options{}).Warnings {
			if w.Code == "mixed_methods" {
				return strings.Contains(w.Message, "c1 by trapezoid")
			}
		}
		return false
	}
	if mixed() {
		t.Error("one method is called mixed")
	}
	list[1].Windows[0].Domains[0].Window.Method = energy.MethodTrapezoid
	if !mixed() {
		t.Error("no warning of mixed methods")
	}
}

// The modelled error of a load shrinks with its windows, and a spread far below
// it is a warning.
func TestSpreadBelowTheEdgeModel(t *testing.T) {
	var list []result.Trial
	for block, d := range []float64{0, 1e-6, -1e-6, 2e-6, -2e-6} {
		list = append(list, aTrial("a", block, 0.5+d, 0.5+d))
	}
	s := Summarize(list, nil, Options{})
	if e := estimate(t, s.Cells[0], MetricEnergyPerToken); !e.Has(stats.CodeBelowEdgeModel) {
		t.Errorf("%+v", e.Warnings)
	}
	if e := estimate(t, s.Cells[0], MetricTokensPerS); e.Has(stats.CodeBelowEdgeModel) {
		t.Error("speed has no energy sensor")
	}
	near(t, "two windows", *edge(list, false), 0.001/math.Sqrt2)
	near(t, "a window", *edge(list, true), 0.001)
}
