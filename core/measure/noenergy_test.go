package measure

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// What to try next depends on what the sources see and on what the backend holds.
func TestAdviceWithoutADomain(t *testing.T) {
	one := func(kind string, ids ...string) openSource {
		return openSource{Source: Source{Name: "trace"}, domains: []energy.Domain{{ID: "trace/x", Kind: kind, DeviceIDs: ids}}}
	}
	again := one(energy.KindGPU, "GPU-a")
	again.said = []energy.Warning{{Code: energy.CodeReplayed}}
	for name, c := range map[string]struct {
		sources []openSource
		gpus    []string
		want    string
	}{
		"nothing open":      {nil, nil, "name one in `energy`; `llem config doctor` tries each"},
		"a recorded GPU":    {[]openSource{again}, []string{"sim-gpu-0"}, "see the GPUs GPU-a; to play a recorded GPU in the place of one that the backend holds, set `devices = [\"sim-gpu-0\"]` in [sources.trace]"},
		"another GPU":       {[]openSource{one(energy.KindGPU, "GPU-a")}, []string{"GPU-b"}, "see the GPUs GPU-a; the ids must be the same"},
		"no GPU seen":       {[]openSource{one(energy.KindCPUPackage)}, []string{"GPU-b"}, "see only cpu_package; add one that sees GPUs"},
		"no GPU held":       {[]openSource{again}, nil, "the backend says that it holds no GPU"},
		"only memory there": {[]openSource{one(energy.KindDRAM)}, nil, "see only dram; add one of the CPU"},
	} {
		tr := &trial{recorder: &recorder{sources: c.sources}}
		if got := tr.uncovered(c.gpus); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A window without joules names the cause, and where its words are.
func TestAdviceWithoutJoules(t *testing.T) {
	w := result.Window{Domains: []result.DomainEnergy{{DomainID: "a/x", Source: "a"}, {DomainID: "b/y", Source: "b", Error: "no samples"}}}
	r := &recorder{failed: map[string]error{}}
	if got := domainErrors(w, r); got != "no samples; `llem config doctor` tries the energy sources, and docs/gates.md explains the codes" {
		t.Error(got)
	}
	r.failed["b"] = errors.New("ended after 0.4 s; set loop = true")
	if got := domainErrors(w, r); got != "no samples; source b stopped: ended after 0.4 s; set loop = true; the log.txt of the attempt has its last lines" {
		t.Error(got)
	}
}

// What a recording says of itself goes with the window that it has no joules for: as
// it is where the headline fails, as notes where a domain beside it does.
func TestARecordingsDoubtsGoWithTheWindow(t *testing.T) {
	why := &energy.WindowError{Code: energy.CodeNotCovered, Domain: "a/x", Warnings: []energy.Warning{
		{Code: energy.CodeZeroSample, Severity: energy.SeverityWarning, Message: "12 of them", Domain: "a/x"},
	}}
	tr := &trial{record: &result.Trial{Headline: []string{"a/x"}}}
	if got := tr.noEnergy("a/x", fmt.Errorf("window: %w", why)); len(got) != 1 || got[0] != why.Warnings[0] || len(tr.withoutEnergy) != 1 {
		t.Errorf("of the headline: %+v, %+v", got, tr.withoutEnergy)
	}
	tr.record.Headline = []string{"b/y"}
	want := energy.Warning{Code: energy.CodeZeroSample, Severity: energy.SeverityInfo, Message: "a/x: 12 of them", Domain: "a/x"}
	if got := tr.noEnergy("a/x", why); len(got) != 1 || got[0] != want || len(tr.withoutEnergy) != 1 || why.Warnings[0].Message != "12 of them" {
		t.Errorf("beside it: %+v, %+v", got, tr.withoutEnergy)
	}
	if got := tr.noEnergy("a/x", errors.New("no trace")); got != nil {
		t.Errorf("of another error: %+v", got)
	}
}
