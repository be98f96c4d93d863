package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// onCards is a load on some of three GPUs that all are recorded, each with a counter
// and its memory.
func onCards(cell string, used ...string) result.Trial {
	t := aTrial(cell, 0, 0.5)
	var domains, headline []energy.Domain
	t.Headline, t.Load.Report.Devices, t.Windows[0].Domains = nil, nil, nil
	for _, card := range []string{"GPU-a", "GPU-b", "GPU-c"} {
		ring := energy.Domain{ID: "nvml/" + card, Kind: energy.KindGPU, DeviceIDs: []string{card}, Source: "nvml"}
		counter, memory := ring, ring
		counter.ID, memory.ID, memory.Kind = ring.ID+"/counter", ring.ID+"/memory", energy.KindGPUMemory
		domains = append(domains, ring, counter, memory)
		for _, u := range used {
			if u == card {
				headline = append(headline, ring)
				t.Headline = append(t.Headline, ring.ID)
				t.Load.Report.Devices = append(t.Load.Report.Devices, sdk.DeviceUse{ID: card, Kind: "gpu"})
				t.Audit = append(t.Audit, gate.Audit{Domain: ring.ID, Check: counter.ID})
			}
		}
	}
	for i, d := range domains {
		t.Windows[0].Domains = append(t.Windows[0].Domains, result.DomainEnergy{DomainID: d.ID, Kind: d.Kind, Source: "nvml", Window: energy.Window{EnergyJ: 100 * float64(i+1), MeanPowerW: 10 * float64(i+1)}})
	}
	t.Boundary = energy.BoundaryOf(headline...).String()
	t.Sources = []result.Source{{Name: "nvml", Domains: domains}}
	return t
}

// A card that the deployment does not use is in no column, and is named.
func TestUnusedCardsAreNamedAndNoColumn(t *testing.T) {
	out := printed(t, Summarize([]result.Trial{onCards("one", "GPU-b")}, nil, Options{}), TableOptions{})
	if strings.Contains(out, "gpu J/token") || !regexp.MustCompile(`(?m)^one .* 0\.6000$`).MatchString(out) || strings.Contains(out, "in this order") {
		t.Errorf("a column of other cards:\n%s", out)
	}
	want := "not used by the deployment, recorded beside it: GPU-a, GPU-c (figures in summary.csv)\n"
	if !strings.Contains(out, want) {
		t.Errorf("the table does not say %q:\n%s", want, out)
	}
	s := Summarize([]result.Trial{onCards("one", "GPU-b")}, nil, Options{})
	for _, d := range s.Cells[0].Domains {
		if d.Unused == strings.HasPrefix(d.ID, "nvml/GPU-b") || len(d.Devices) != 1 {
			t.Errorf("domain %+v", d)
		}
	}
}

// A column with several values says of which domains they are; what holds for some
// cells only says so.
func TestSeveralDomainsOfAKindAreNamed(t *testing.T) {
	out := printed(t, Summarize([]result.Trial{onCards("one", "GPU-b"), onCards("two", "GPU-a", "GPU-b")}, nil, Options{}), TableOptions{})
	for _, want := range []string{
		"gpu_memory J/token of two: nvml/GPU-a/memory, nvml/GPU-b/memory, in this order; they are not added\n",
		"not used by the deployment of one, recorded beside it: GPU-a, GPU-c (",
		"not used by the deployment of two, recorded beside it: GPU-c (",
		" 0.3000, 0.6000\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}
}
