package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

// A backend that stamps the end of prefill has its joules split there.
func TestPhasesOfStaticBatches(t *testing.T) {
	r := newRig(t, "prefill")
	r.each(func(c *study.Cell) {
		c.Workload.OutputTokens = 40 // 200 ms a pass, of which prefill takes 60
		c.Protocol.IdleS = 0.1
		c.Probe, c.ProbeID = true, "b"
	})
	got := r.one()
	w := got.Windows[0]
	if w.Phases == nil {
		t.Fatalf("no phases: %s", w.PhasesAbsent)
	}
	near(t, "prefill", w.Phases.PrefillJ, 100*float64(w.Phases.PrefillNs)/1e9, 1e-6)
	near(t, "decode", w.Phases.DecodeJ, 100*float64(w.Phases.DecodeNs)/1e9, 1e-6)
	if w.Phases.PrefillNs < int64(w.Passes)*55e6 || w.Phases.PrefillNs+w.Phases.DecodeNs > w.DurationNs() || w.PhasesAbsent != "" {
		t.Errorf("%+v of %d passes in %d ns", w.Phases, w.Passes, w.DurationNs())
	}
	if got.Run.EnergyJ == nil {
		t.Fatal("the Run has no joules")
	}
	near(t, "Run", *got.Run.EnergyJ, 100*float64(got.Run.EndNs-got.Run.BeginNs)/1e9, 1e-6)
	if got.Idle == nil || got.Idle.ToNs-got.Idle.FromNs < 100e6 || !got.Cell.Probe || got.Cell.ProbeID != "b" {
		t.Errorf("idle %+v, cell %+v", got.Idle, got.Cell)
	}
}

func TestPhasesAbsentSayWhy(t *testing.T) {
	for want, change := range map[string]func(*study.Cell){
		"does not stamp": func(c *study.Cell) {},
		"mix both phases": func(c *study.Cell) {
			c.Load, c.Protocol.Warmup = study.LoadSpec{Mode: "closed", Concurrency: 4}, "full"
		},
		"is all prefill": func(c *study.Cell) { c.Workload.OutputTokens = 1 },
		"decode lasts":   func(c *study.Cell) { c.Workload.OutputTokens, c.Parameters["fault"] = 20, "prefill" },
	} {
		t.Run(want, func(t *testing.T) {
			w := newRig(t, "").each(change).one().Windows[0]
			if w.Phases != nil || !strings.Contains(w.PhasesAbsent, want) {
				t.Errorf("%+v, %q", w.Phases, w.PhasesAbsent)
			}
		})
	}
}
