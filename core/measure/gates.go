package measure

import (
	"fmt"

	"github.com/llenergymeasure/llem/core/energy"
)

// Limits of a window's length, as MLPerf Power and the sensors' resolution
// give them.
const (
	fatalWindowNs = int64(2e9)
	shortWindowNs = int64(10e9)
	leastPeriods  = 20
)

// gates judges the trial's windows. A fatal finding keeps the trial, and
// keeps it out of every estimate.
func (t *trial) gates() {
	shortest := map[string]bool{}
	for _, w := range t.record.Windows {
		length := w.DurationNs()
		switch {
		case length < fatalWindowNs:
			t.once(shortest, "window_short", energy.SeverityFatal, fmt.Sprintf("a window lasts %.2f s; below 2 s nothing can be said", float64(length)/1e9))
		case length < shortWindowNs:
			t.once(shortest, "window_below_10s", energy.SeverityWarning, fmt.Sprintf("a window lasts %.1f s; 10 s or more is advised", float64(length)/1e9))
		}
		for _, d := range t.recorder.domains() {
			if contains(t.record.Headline, d.ID) && d.UpdateNs > 0 && length < leastPeriods*d.UpdateNs {
				t.once(shortest, "window_few_periods", energy.SeverityFatal, fmt.Sprintf("a window lasts %.2f s, fewer than %d updates of %s", float64(length)/1e9, leastPeriods, d.ID))
			}
		}
		if w.Failed > 0 {
			t.once(shortest, "requests_failed", energy.SeverityFatal, fmt.Sprintf("%d of %d requests in a window failed", w.Failed, w.Requests))
		}
		if w.OutputTokens == 0 {
			t.once(shortest, "no_output", energy.SeverityFatal, "a window holds no output token")
		}
		t.exactLengths(shortest, w.Requests, w.OutputTokens)
	}
	t.record.Ranked = true
	all := t.record.Warnings
	for _, w := range t.record.Windows {
		all = append(all[:len(all):len(all)], w.Warnings...)
	}
	for _, w := range all {
		if w.Severity == energy.SeverityFatal {
			t.record.Ranked = false
		}
	}
}

// exactLengths checks that the engine generated what it was told to.
func (t *trial) exactLengths(seen map[string]bool, requests, outputTokens int64) {
	if t.cell.Workload.Lengths == "natural" || t.spec("").Loop != "batch" {
		return
	}
	want := requests * int64(t.cell.Workload.OutputTokens)
	if want != outputTokens {
		t.once(seen, "token_count_mismatch", energy.SeverityFatal, fmt.Sprintf("%d output tokens were counted and %d asked for", outputTokens, want))
	}
}

func (t *trial) once(seen map[string]bool, code string, severity energy.Severity, message string) {
	if seen[code] {
		return
	}
	seen[code] = true
	t.warn(code, severity, message)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
