package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func ptr[T any](v T) *T { return &v }

const windowTokens, windowRequests, windowNs = 1000, 10, int64(10e9)

// aTrial is a load of a cell whose windows need joules[i] J per output token.
func aTrial(cell string, block int, joules ...float64) result.Trial {
	package0 := energy.Domain{ID: "rapl/package-0", Kind: energy.KindCPUPackage, DeviceIDs: []string{"package-0"}, Reading: energy.ReadingCounter, UnitNum: 1, UnitDen: 1, Source: "rapl", Accuracy: energy.Accuracy{GainRel: 0.05}}
	t := result.Trial{
		SchemaVersion: 1, Study: "quickstart", Block: block, Status: result.StatusOK, Ranked: true, Dir: fmt.Sprintf("runs/%s-b%d", cell, block),
		Cell:     result.Cell{ID: cell, Label: cell, Instance: "ggml", Axes: map[string]any{"weight_type": cell}, Loop: sdk.LoopBatch},
		Boundary: energy.BoundaryOf(package0).String(), Headline: []string{package0.ID},
		Sources: []result.Source{{Name: "rapl", Why: "auto: readable", Domains: []energy.Domain{package0}}},
		Load:    &result.Load{Report: sdk.LoadReport{Model: sdk.ModelIdentity{Base: "small"}, Devices: []sdk.DeviceUse{{ID: "cpu", Kind: "cpu"}}}},
		Work:    &result.Work{Hash: "w", PassHashes: []string{fmt.Sprint("pass of block ", block)}},
	}
	for i, j := range joules {
		t.Windows = append(t.Windows, aWindow(i, j))
	}
	return t
}

func aWindow(index int, perToken float64) result.Window {
	from := int64(index) * windowNs
	total := perToken * windowTokens
	return result.Window{
		Index: index, FromNs: from, ToNs: from + windowNs, Requests: windowRequests, OutputTokens: windowTokens,
		EnergyJ: &total, SystematicRel: ptr(0.05), EdgeRel: ptr(0.001), EnergyPerOutputTokenJ: &perToken, EnergyPerRequestJ: ptr(total / windowRequests),
		OutputTokensPerS: 1e9 * windowTokens / float64(windowNs) * (0.5 / perToken), MeanPowerW: ptr(total / 10),
		TTFT:    &result.Quantiles{N: 10, P50Ns: int64(40e6 * perToken)},
		TPOT:    &result.Quantiles{N: 10, P50Ns: int64(8e6 * perToken)},
		Domains: []result.DomainEnergy{{DomainID: "rapl/package-0", Kind: "cpu_package", Source: "rapl", Window: energy.Window{EnergyJ: total, GainRel: 0.05}}},
	}
}

// modelled turns a trial's headline into an estimate by hostpower.
func modelled(t result.Trial) result.Trial {
	d := energy.Domain{ID: "hostpower/cpu", Kind: energy.KindCPUPackage, DeviceIDs: []string{"host"}, Estimated: true, Source: "hostpower"}
	t.Boundary, t.Headline = energy.BoundaryOf(d).String(), []string{d.ID}
	t.Sources = []result.Source{{Name: "hostpower", Why: "auto: nothing here measures", Domains: []energy.Domain{d}}}
	for i := range t.Windows {
		t.Windows[i].SystematicRel = ptr(0.5)
		t.Windows[i].Domains = []result.DomainEnergy{{DomainID: d.ID, Kind: d.Kind, Source: "hostpower", Estimated: true, Window: energy.Window{EnergyJ: *t.Windows[i].EnergyJ, Estimated: true}}}
		t.Windows[i].Warnings = append(t.Windows[i].Warnings, energy.Warning{Code: energy.CodeEstimated, Severity: energy.SeverityWarning, Message: "the joules are modelled, not measured", Domain: d.ID})
	}
	return t
}

// random marks the weights as random.
func random(t result.Trial) result.Trial {
	t.Load.Report.Model.RandomWeights = true
	t.Warnings = append(t.Warnings, energy.Warning{Code: "random_weights", Severity: energy.SeverityInfo, Message: "the weights are random"})
	return t
}

// withDRAM adds a domain beside the headline.
func withDRAM(t result.Trial, share float64) result.Trial {
	for i := range t.Windows {
		w := &t.Windows[i]
		w.Domains = append(w.Domains, result.DomainEnergy{DomainID: "rapl/dram-0", Kind: "dram", Source: "rapl", Window: energy.Window{EnergyJ: *w.EnergyJ * share, MeanPowerW: *w.MeanPowerW * share, GainRel: 0.1}})
	}
	return t
}

func failedRun(cell string, block int) result.Trial {
	t := aTrial(cell, block)
	t.Status, t.Ranked, t.Dir = result.StatusFailed, false, fmt.Sprintf("attempts/%s-b%d-01020304", cell, block)
	t.Windows, t.Boundary, t.Headline, t.Work = nil, "", nil, nil
	t.Failure = &result.Failure{Phase: "run", Code: "engine_crashed", Message: "the plugin exited with signal 11", Advice: "read its log", StderrTail: []string{"oops"}}
	return t
}

// quickstart is a study as it should go: two cells, three blocks.
func quickstart() []result.Trial {
	var out []result.Trial
	for block, d := range []float64{0.002, -0.001, 0.003} {
		out = append(out, random(aTrial("f16", block, 0.55+d)), random(aTrial("q8_0", block, 0.35+d)))
	}
	return out
}
