package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

func TestGatesOfAWindow(t *testing.T) {
	for _, c := range []struct {
		name, fault   string
		fatal, marked []string
		change        func(*rig)
	}{
		{name: "short", fatal: []string{"window_short"}},
		{name: "below ten seconds", marked: []string{"window_short/warning"}, change: func(r *rig) { r.ranked() }},
		{name: "few periods", fatal: []string{"window_short"}, change: func(r *rig) {
			r.ranked()
			r.meter.domain = func(d *sdk.Domain) { d.UpdatePeriodNs = 150e6 }
		}},
		{name: "few periods, from the samples", fatal: []string{"window_short"}, change: func(r *rig) {
			r.ranked()
			last := int64(0)
			r.meter.domain = func(d *sdk.Domain) { d.UpdatePeriodNs = 0 }
			r.meter.change = func(b *sdk.SampleBatch) bool {
				if b.MonoNs[0]-last < 120e6 {
					return false
				}
				last = b.MonoNs[0]
				return true
			}
		}},
		{name: "failed requests", fault: "fail", fatal: []string{"requests_failed"}},
		{name: "aborted requests", fault: "short", fatal: []string{"token_count_mismatch", "requests_broken_off"}},
		{name: "aborted requests of a closed loop", fault: "short", fatal: []string{"token_count_mismatch", "requests_broken_off"}, change: func(r *rig) {
			r.each(func(c *study.Cell) { c.Load = study.LoadSpec{Mode: "closed", Concurrency: 4} })
		}},
		{name: "no output", fault: "silent", fatal: []string{"no_output"}, change: func(r *rig) {
			r.each(func(c *study.Cell) { c.Workload.Lengths = "natural" })
		}},
		{name: "counters", fault: "counters", marked: []string{"counters_mismatch/warning"}},
		{name: "what the load says", fault: "random weights", marked: []string{"random_weights/info", "fallback_kernel/warning", "vocab_unknown/warning"}},
		{name: "what the check says", marked: []string{"warning_parameter/warning", "dormant_parameter/warning"}, change: func(r *rig) {
			r.checks = []sdk.CellCheck{{Diagnostics: []sdk.Diagnostic{
				{Severity: sdk.SeverityWarning, KeyPath: "a", Message: "slow"}, {Severity: sdk.SeverityDormant, KeyPath: "b", Message: "no effect"},
			}}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.fault)
			if c.change != nil {
				c.change(r)
			}
			got := r.one()
			for _, code := range c.fatal {
				wantExcluded(t, got, code)
			}
			for _, code := range c.marked {
				wantCode(t, got, code)
			}
			if c.fault != "counters" && strings.Contains(codes(got), "counters_mismatch") {
				t.Errorf("counters that agree are doubted: %s", codes(got))
			}
		})
	}
}
