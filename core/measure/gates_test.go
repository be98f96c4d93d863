package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
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
		{name: "below ten seconds", marked: []string{"window_below_10s/warning"}, change: func(r *rig) { r.ranked() }},
		{name: "few periods", fatal: []string{"window_few_periods"}, change: func(r *rig) {
			r.ranked()
			r.meter.domain = func(d *sdk.Domain) { d.UpdatePeriodNs = 150e6 }
		}},
		{name: "few periods, from the samples", fatal: []string{"window_few_periods"}, change: func(r *rig) {
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
		{name: "aborted requests", fault: "short", fatal: []string{"token_count_mismatch"}},
		{name: "aborted requests of a closed loop", fault: "short", fatal: []string{"token_count_mismatch"}, change: func(r *rig) {
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

func TestDoubtsAboutWork(t *testing.T) {
	trial := &trial{cell: study.Cell{Workload: study.Workload{OutputTokens: 10}}}
	done := []sdk.Completion{{PromptTokens: 100, OutputTokens: 10}, {PromptTokens: 100, OutputTokens: 10}}
	for _, c := range []struct {
		prompt, output int64
		want           string
	}{{200, 20, ""}, {199, 20, ""}, {197, 20, "work_mismatch"}, {200, 21, "work_mismatch"}} {
		found := trial.doubts(cut{Requests: 2, PromptTokens: c.prompt, OutputTokens: c.output, Completions: done})
		if c.want == "" && len(found) != 0 || c.want != "" && (len(found) != 1 || found[0].Code != c.want || found[0].Severity != energy.SeverityFatal) {
			t.Errorf("%d prompt and %d output tokens give %+v", c.prompt, c.output, found)
		}
	}
}
