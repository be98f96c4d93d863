package measure

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// gates judges the trial. A fatal finding keeps the trial, and keeps it out of
// every estimate.
func (t *trial) gates(cuts []cut, traces map[string]*energy.Trace) {
	t.record.Warnings = append(t.record.Warnings, t.recorder.notes()...)
	t.record.Devices = t.watch.devices(t.gpus)
	t.record.Audit = t.audit(traces)
	verdict := gate.Judge(t.gateInput(cuts, traces))
	for _, f := range verdict.Findings {
		t.record.Warnings = append(t.record.Warnings, f.Warning())
	}
	verdict.Findings = nil // they are warnings now
	t.record.Gates = &verdict
	if n := len(verdict.Unknown); n > 0 {
		var list []string
		for _, code := range slices.Sorted(maps.Keys(verdict.Unknown)) {
			list = append(list, code+" ("+verdict.Unknown[code]+")")
		}
		t.warn("gates_unknown", energy.SeverityInfo, fmt.Sprintf("%d gates could not be judged: %s", n, strings.Join(list, "; ")))
	}
	isFatal := func(w energy.Warning) bool { return w.Severity == energy.SeverityFatal }
	t.record.Ranked = !slices.ContainsFunc(t.record.Warnings, isFatal)
	for _, w := range t.record.Windows {
		t.record.Ranked = t.record.Ranked && !slices.ContainsFunc(w.Warnings, isFatal)
	}
}

// notes are what sources noticed since they were last asked.
func (r *recorder) notes() []energy.Warning {
	var list []energy.Warning
	since := r.noted
	r.noted = sdk.MonoNow()
	for _, s := range r.sources {
		if s.Notes != nil {
			list = append(list, s.Notes(since)...)
		}
	}
	return list
}

// gateInput gathers what the gates look at.
func (t *trial) gateInput(cuts []cut, traces map[string]*energy.Trace) gate.Input {
	run := t.record.Run
	in := gate.Input{
		Profile: t.cell.Protocol.Profile, Loop: string(run.Spec.Loop), Concurrency: t.cell.Load.Concurrency,
		Exact: t.cell.Workload.Lengths != "natural", OutputTokens: t.cell.Workload.OutputTokens, SharedPrefix: t.cell.Workload.SharedPrefixTokens > 0,
		RunNs: run.EndNs - run.BeginNs, Audits: t.record.Audit, GPUs: t.gpus, OwnPIDs: t.watch.ownPIDs,
		CachedPromptTokens: cachedTokens(run, cuts), RunningMean: runningMean(run), ClockStepNs: t.watch.stepNs,
		Emitted: slices.Concat(t.record.Warnings, t.withoutEnergy), OutputCounted: outputCounted(*run),
	}
	if c := t.record.Conditioning; c != nil {
		in.Conditioned = &gate.Conditioned{PowerKnown: c.PowerSlopeRel != nil, Silent: c.TemperatureUnknown}
	}
	if c := t.record.Cooldown; c != nil {
		in.Cooldown = &gate.Cooldown{StartC: c.StartC, EndC: c.EndC, Silent: c.TemperatureUnknown}
	}
	shares := environ.Between(t.watch.busyBegin, t.watch.busyEnd)
	t.record.HostLoad = &shares
	in.Host = &gate.Host{OthersShare: shares.Others, ThrottledNs: shares.ThrottledNs, Absent: shares.Absent}
	for i, c := range cuts {
		span := c.span()
		span.OtherLengths = int64(c.otherLengths(t.cell.Workload.OutputTokens))
		window := t.record.Windows[i]
		if a := window.Arrivals; a != nil {
			span.LagGrowth, span.LagError = a.LagGrowth, a.LagGrowthError
		}
		span.EnergyJ = window.EnergyJ
		for _, d := range window.Domains {
			if d.Error == "" && slices.Contains(t.record.Headline, d.DomainID) {
				span.Energy = append(span.Energy, d.Window)
			}
		}
		in.Windows = append(in.Windows, span)
		in.Emitted = append(in.Emitted, window.Warnings...)
	}
	for _, id := range t.record.Headline {
		in.Headline = append(in.Headline, gate.Domain{Domain: traces[id].Domain, PeriodNs: traces[id].PeriodNs()})
	}
	for _, d := range t.record.Devices {
		in.Devices = append(in.Devices, t.gateDevice(d, traces))
	}
	return in
}

func (t *trial) gateDevice(d result.Device, traces map[string]*energy.Trace) gate.Device {
	out := gate.Device{Facts: d.Facts, Before: d.Before, After: d.After, Readings: d.Readings.Rows()}
	pids := map[int64]bool{}
	for _, use := range t.record.Load.Report.Devices {
		if use.ID == d.Facts.UUID {
			pids[use.PID] = true
		}
	}
	out.Own = len(pids)
	for _, id := range t.record.Headline {
		if !slices.Equal(traces[id].Domain.DeviceIDs, []string{d.Facts.UUID}) {
			continue
		}
		if w, ok := t.record.IdlePowerW[id]; ok {
			out.ContextIdleW = &w
		}
		for _, ns := range []int64{3e9, 1e9} { // the second where recording began late
			if w, err := traces[id].Window(t.record.Load.BeginNs-ns, t.record.Load.BeginNs); err == nil {
				out.PowerBeforeW = &w.MeanPowerW
				break
			}
		}
	}
	return out
}

// span is a cut as the gates see it.
func (c cut) span() gate.Span {
	s := gate.Span{FromNs: c.FromNs, ToNs: c.ToNs, Requests: c.Requests, Failed: c.Failed, OutputTokens: c.OutputTokens}
	s.PromptOff, s.OutputOff = c.mismatch()
	var capped int64
	told := true
	for _, done := range c.Completions {
		switch done.FinishReason {
		case "aborted":
			s.Aborted++
		case "length":
			capped++
		case "":
			told = told && done.Failed()
		}
	}
	if told {
		s.Capped = &capped
	}
	return s
}

// cachedTokens is what the engine took from its cache in the Run: by its
// counters, else by the completions of the windows.
func cachedTokens(run *result.Run, cuts []cut) *int64 {
	if b, a := run.Before, run.After; b != nil && a != nil && b.CachedPromptTokens != nil && a.CachedPromptTokens != nil {
		n := *a.CachedPromptTokens - *b.CachedPromptTokens
		return &n
	}
	var sum int64
	some := false
	for _, c := range cuts {
		for _, done := range c.Completions {
			if done.Failed() {
				continue
			}
			if done.CachedPromptTokens == nil {
				return nil
			}
			sum, some = sum+int64(*done.CachedPromptTokens), true
		}
	}
	if !some {
		return nil
	}
	return &sum
}

// runningMean is over the Run where the engine counts its steps, since the load
// elsewhere.
func runningMean(run *result.Run) *float64 {
	b, a := run.Before, run.After
	if a == nil || a.RunningMean == nil {
		return nil
	}
	if b == nil || b.RunningMean == nil || b.EngineSteps == nil || a.EngineSteps == nil || *a.EngineSteps <= *b.EngineSteps {
		return a.RunningMean
	}
	from, to := float64(*b.EngineSteps), float64(*a.EngineSteps)
	mean := (*a.RunningMean*to - *b.RunningMean*from) / (to - from)
	return &mean
}

// audit holds each headline domain against its second reading, over the Run and
// over each window.
func (t *trial) audit(traces map[string]*energy.Trace) []gate.Audit {
	var list []gate.Audit
	for _, id := range t.record.Headline {
		for _, check := range t.checks[id] {
			list = append(list, gate.Compare(traces[id], traces[check], t.watch.edges[0], t.watch.edges[1]))
			for _, w := range t.record.Windows {
				list = append(list, gate.CompareWindow(traces[id], traces[check], w.FromNs, w.ToNs, t.watch.edges))
			}
		}
	}
	return list
}

// checksOf finds which domains see the same devices as a headline domain, by
// another reading that measures all the time.
func checksOf(choice energy.Choice) map[string][]string {
	checks := map[string][]string{}
	for _, h := range choice.Headline {
		for _, c := range choice.Checks {
			if duty, known := c.Duty(0); !c.Estimated && known && duty == 1 && c.Kind == h.Kind && slices.Equal(slices.Sorted(slices.Values(c.DeviceIDs)), slices.Sorted(slices.Values(h.DeviceIDs))) {
				checks[h.ID] = append(checks[h.ID], c.ID)
			}
		}
	}
	return checks
}

// noEnergy keeps why a headline domain has no joules in a window, by its code, and
// returns what the domain's recording says of itself there: as notes, if no number
// but the domain's own suffers.
func (t *trial) noEnergy(domain string, err error) []energy.Warning {
	var why *energy.WindowError
	if !errors.As(err, &why) {
		return nil
	}
	if slices.Contains(t.record.Headline, domain) {
		t.withoutEnergy = append(t.withoutEnergy, energy.Warning{Code: why.Code, Severity: energy.SeverityFatal, Message: err.Error(), Domain: domain})
		return why.Warnings
	}
	notes := slices.Clone(why.Warnings)
	for i := range notes {
		notes[i].Severity, notes[i].Message = energy.SeverityInfo, domain+": "+notes[i].Message
	}
	return notes
}

// outputCounted tells whether the backend counted its output tokens at both ends.
func outputCounted(run result.Run) bool {
	return run.Before != nil && run.After != nil && run.Before.OutputTokens != nil && run.After.OutputTokens != nil
}

// countersMismatch holds the backend's own counter of output tokens against
// the completions of the whole Run. Requests that failed or were broken off
// may have tokens that never arrived.
func (t *trial) countersMismatch(run driven) {
	if !outputCounted(run.record) {
		return
	}
	before, after := run.record.Before, run.record.After
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
