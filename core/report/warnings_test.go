package report

import (
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// gapped is a load on a GPU whose second domain has wide holes at every edge.
func gapped(change func(counter *energy.Domain)) result.Trial {
	t := aTrial("one", 0, 0.5, 0.5)
	ring := energy.Domain{ID: "nvml/GPU-a", Kind: energy.KindGPU, DeviceIDs: []string{"GPU-a"}, Source: "nvml", Reading: energy.ReadingIntervalMean}
	counter := ring
	counter.ID, counter.Reading = "nvml/GPU-a/counter", energy.ReadingCounter
	change(&counter)
	t.Headline, t.Boundary = []string{ring.ID}, energy.BoundaryOf(ring).String()
	t.Sources = []result.Source{{Name: "nvml", Domains: []energy.Domain{ring, counter}}}
	hole := energy.Warning{Code: energy.CodeSampleGap, Severity: energy.SeverityFatal, Message: "no counter change is known for 10 s", Domain: counter.ID}
	low := energy.Warning{Code: energy.CodeLowCoverage, Severity: energy.SeverityFatal, Message: "samples cover 0.0 % of the window", Domain: counter.ID}
	restarted := energy.Warning{Code: energy.CodeDropped, Severity: energy.SeverityWarning, Message: "lost", Domain: counter.ID}
	for i := range t.Windows {
		t.Windows[i].Domains = []result.DomainEnergy{
			{DomainID: ring.ID, Kind: ring.Kind, Source: "nvml", Window: energy.Window{EnergyJ: 500}},
			{DomainID: counter.ID, Kind: counter.Kind, Source: "nvml", Window: energy.Window{EnergyJ: 499, Warnings: []energy.Warning{hole, hole, low, restarted}}},
		}
	}
	return t
}

// What a check that is read seldom lacks at the edges of windows is one note; anything
// else that it says, and what any other domain lacks, is told as it is.
func TestASeldomReadCheckIsOneNote(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*energy.Domain)
		want   map[string]int
	}{
		"a counter beside samples": {func(*energy.Domain) {}, map[string]int{codeSparseCheck: 6, energy.CodeDropped: 2}},
		"samples":                  {func(d *energy.Domain) { d.Reading = energy.ReadingInstant }, map[string]int{energy.CodeSampleGap: 4, energy.CodeLowCoverage: 2, energy.CodeDropped: 2}},
		"another kind":             {func(d *energy.Domain) { d.Kind = energy.KindModule }, map[string]int{energy.CodeSampleGap: 4, energy.CodeLowCoverage: 2, energy.CodeDropped: 2}},
		"another device":           {func(d *energy.Domain) { d.DeviceIDs = []string{"GPU-b"} }, map[string]int{energy.CodeSampleGap: 4, energy.CodeLowCoverage: 2, energy.CodeDropped: 2}},
	} {
		s := Summarize([]result.Trial{gapped(c.change)}, nil, Options{})
		for _, code := range []string{codeSparseCheck, energy.CodeSampleGap, energy.CodeLowCoverage, energy.CodeDropped} {
			count := 0
			for _, w := range s.Warnings {
				if w.Code == code {
					count += w.Count
					if w.Severity != energy.SeverityInfo {
						t.Errorf("%s: %+v", name, w)
					}
				}
			}
			if count != c.want[code] {
				t.Errorf("%s: %s %d times, want %d", name, code, count, c.want[code])
			}
		}
	}
}
