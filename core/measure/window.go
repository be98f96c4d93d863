package measure

import (
	"context"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// window cuts the Run and computes energy and metrics.
func (t *trial) window(ctx context.Context, run driven, settledNs int64, work preparedWork) error {
	t.progress(PhaseCompute, 0, "")
	windowNs := int64(t.cell.Protocol.WindowS * 1e9)
	var cuts []cut
	if t.spec("").Loop == sdk.LoopBatch {
		cuts = cutPasses(run.record.Passes, run.completions, settledNs, windowNs, t.windows, run.record.Spec.GapNsMost > 0)
	} else if isOpen(t.cell) {
		cuts = cutArrivals(untilEnd(run.record, run.completions), edgeStep(t.cell), settledNs, windowNs, t.windows)
	} else {
		cuts = cutCompletions(run.completions, max(1, t.cell.Load.Concurrency), settledNs, windowNs, t.windows)
	}
	sent := min(passesSent(run.completions, t.cell.Workload.Requests), len(work.passHashes))
	if t.record.Work.PassHashes = work.passHashes[:sent]; sent == 0 {
		t.warn("work_not_hashed", energy.SeverityWarning, fmt.Sprintf(
			"not one pass of %d requests was sent whole, so a comparison cannot check that both sides ran the same requests; lower workload.requests or lengthen protocol.window_s", t.cell.Workload.Requests))
	}
	traces := t.recorder.waitUntil(ctx, max(run.record.EndNs, t.watch.edges[1]), t.waits.watermark)
	if err := t.attempt.WritePower(traces, t.record.Load.EndNs, run.record.EndNs); err != nil {
		return &phaseError{phase: "write", err: err}
	}
	t.record.Run.EnergyJ = t.runEnergy(run.record, traces)
	for i, c := range cuts {
		w := t.measureCut(i, c, traces)
		w.Goodput = goodput(t.Study.SLO, w, c.Completions)
		w.Phases, w.PhasesAbsent = t.phases(c, run.record.Passes, traces)
		if isOpen(t.cell) {
			w.Arrivals = arrivals(run.completions, c.FromNs, c.ToNs)
		}
		t.record.Windows = append(t.record.Windows, w)
	}
	t.coldIdle(traces)
	t.gates(cuts, traces)
	if len(cuts) < t.windows {
		return &phaseError{phase: "window", code: codeWorkMissing, err: fmt.Errorf(
			"%d of %d windows of %v s fit into the Run, which ended with %q after %.1f s; shorten protocol.window_s%s",
			len(cuts), t.windows, t.cell.Protocol.WindowS, run.record.Reason, float64(run.record.EndNs-run.record.BeginNs)/1e9, work.usedUp(run.record))}
	}
	for _, w := range t.record.Windows {
		if w.EnergyJ == nil {
			return &phaseError{phase: "window", code: codeNoEnergy, err: fmt.Errorf("no energy for the headline: %s", domainErrors(w, t.recorder))}
		}
	}
	return nil
}

// measureCut computes one window from one cut.
func (t *trial) measureCut(index int, c cut, traces map[string]*energy.Trace) result.Window {
	w := result.Window{
		Index: index, FromNs: c.FromNs, ToNs: c.ToNs, Rule: c.Rule, Passes: c.Passes,
		Requests: c.Requests, Failed: c.Failed, PromptTokens: c.PromptTokens,
		OutputTokens: c.OutputTokens, PaddingTokens: c.PaddingTokens, GapsNs: c.GapsNs,
	}
	duration := float64(w.DurationNs()) / 1e9
	w.OutputTokensPerS = float64(w.OutputTokens) / duration
	latencies(&w, c.Completions)
	w.Warnings = c.fewPasses()
	var headline []energy.Domain
	var parts []energy.Window
	for _, domain := range t.recorder.domains() {
		entry := result.DomainEnergy{DomainID: domain.ID, Kind: domain.Kind, Source: domain.Source, Estimated: domain.Estimated}
		part, err := c.energy(traces[domain.ID])
		if err != nil {
			entry.Error = err.Error()
			w.Warnings = append(w.Warnings, t.noEnergy(domain.ID, err)...)
		} else {
			entry.Window = part
		}
		w.Domains = append(w.Domains, entry)
		if err == nil && slices.Contains(t.record.Headline, domain.ID) {
			headline, parts = append(headline, domain), append(parts, part)
		}
	}
	if len(parts) == 0 || len(parts) < len(t.record.Headline) {
		return w
	}
	total, _, err := energy.Total(headline, parts)
	if err != nil {
		w.Warnings = append(w.Warnings, energy.Warning{Code: codeNoEnergy, Severity: energy.SeverityFatal, Message: err.Error()})
		return w
	}
	w.Warnings = append(w.Warnings, total.Warnings...)
	w.EnergyJ, w.MeanPowerW = &total.EnergyJ, &total.MeanPowerW
	w.EdgeRel = &total.RandomRel
	if systematic := total.SystematicRel(); systematic > 0 {
		w.SystematicRel = &systematic
	}
	if w.OutputTokens > 0 {
		w.EnergyPerOutputTokenJ = ratio(total.EnergyJ, w.OutputTokens)
	}
	if w.Requests > 0 {
		w.EnergyPerRequestJ = ratio(total.EnergyJ, w.Requests)
	}
	return w
}

func ratio(energyJ float64, count int64) *float64 {
	v := energyJ / float64(count)
	return &v
}
