package measure

import (
	"fmt"
	"math"
	"slices"

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
func (t *trial) gates(traces map[string]*energy.Trace) {
	shortest := map[string]bool{}
	for _, w := range t.record.Windows {
		length := w.DurationNs()
		switch {
		case length < fatalWindowNs:
			t.once(shortest, "window_short", energy.SeverityFatal, fmt.Sprintf("a window lasts %.2f s; below 2 s nothing can be said", float64(length)/1e9))
		case length < shortWindowNs:
			t.once(shortest, "window_below_10s", energy.SeverityWarning, fmt.Sprintf("a window lasts %.1f s; 10 s or more is advised", float64(length)/1e9))
		}
		for _, id := range t.record.Headline {
			if length < leastPeriods*traces[id].PeriodNs() {
				t.once(shortest, "window_few_periods", energy.SeverityFatal, fmt.Sprintf("a window lasts %.2f s, fewer than %d updates of %s", float64(length)/1e9, leastPeriods, id))
			}
		}
		if w.Failed > 0 {
			t.once(shortest, "requests_failed", energy.SeverityFatal, fmt.Sprintf("%d of %d requests in a window failed", w.Failed, w.Requests))
		}
		if w.OutputTokens == 0 {
			t.once(shortest, "no_output", energy.SeverityFatal, "a window holds no output token")
		}
	}
	isFatal := func(w energy.Warning) bool { return w.Severity == energy.SeverityFatal }
	t.record.Ranked = !slices.ContainsFunc(t.record.Warnings, isFatal)
	for _, w := range t.record.Windows {
		if slices.ContainsFunc(w.Warnings, isFatal) {
			t.record.Ranked = false
		}
	}
}

// doubts compares a window's work with what was asked for.
func (t *trial) doubts(c cut) []energy.Warning {
	var found []energy.Warning
	if n := c.otherLengths(t.cell.Workload.OutputTokens); n > 0 && t.cell.Workload.Lengths != "natural" {
		found = append(found, energy.Warning{Code: "token_count_mismatch", Severity: energy.SeverityFatal, Message: fmt.Sprintf(
			"%d of %d requests do not have the %d output tokens that were asked for", n, c.Requests, t.cell.Workload.OutputTokens)})
	}
	if prompt, output := c.mismatch(); math.Abs(prompt) > mostMismatch || math.Abs(output) > mostMismatch {
		found = append(found, energy.Warning{Code: "work_mismatch", Severity: energy.SeverityFatal, Message: fmt.Sprintf(
			"tokens stamped in the window differ from its requests' by %+.1f %% (prompt) and %+.1f %% (output), and 1 %% is the limit; a longer protocol.window_s makes the edges weigh less", 100*prompt, 100*output)})
	}
	return found
}

// mostMismatch is how far the tokens stamped in a window may differ from those
// of the requests that it is made of, relative. Beyond it J/token is that of
// another ratio of prompt to output than the workload's, and is not ranked.
const mostMismatch = 0.01

// countersMismatch holds the backend's own counter of output tokens against
// the completions of the whole Run. Requests that failed or were broken off
// may have tokens that never arrived.
func (t *trial) countersMismatch(run driven) {
	before, after := run.record.Before, run.record.After
	if before == nil || after == nil || before.OutputTokens == nil || after.OutputTokens == nil {
		return
	}
	var counted int64
	broken := false
	for _, c := range run.completions {
		counted += int64(c.OutputTokens)
		broken = broken || c.Failed() || c.FinishReason == "aborted"
	}
	rise := *after.OutputTokens - *before.OutputTokens
	if rise == counted || broken && rise > counted {
		return
	}
	t.warn("counters_mismatch", energy.SeverityWarning, fmt.Sprintf(
		"the engine's counter of output tokens rose by %d in the Run and its completions hold %d", rise, counted))
}

func (t *trial) once(seen map[string]bool, code string, severity energy.Severity, message string) {
	if seen[code] {
		return
	}
	seen[code] = true
	t.warn(code, severity, message)
}
