package measure

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Times that bound the parts of a trial.
const (
	unloadLimit    = 30 * time.Second
	watermarkLimit = 15 * time.Second
	// warmUpNs is how long the warm-up Run goes on, beyond its first pass, to
	// learn the rate.
	warmUpNs = int64(2e9)
	// warmUpPasses is how many passes are prepared for it.
	warmUpPasses = 32
	// workSurplus is how much more work is prepared than the warm-up's rate
	// predicts, so that no prompt has to repeat.
	workSurplus = 1.5
	// mostPreparedTokens bounds the prompts held for one Run, about 512 MiB.
	mostPreparedTokens = 128 << 20
)

// trial is one load of one cell, being measured.
type trial struct {
	*session
	cell     study.Cell
	check    sdk.CellCheck
	recorder *recorder
	attempt  *result.Attempt
	record   *result.Trial
	progress func(Phase, float64, string)

	backend *host.Plugin
	workDir string
}

// run goes through the protocol. What it learned is in t.record, whether or
// not it returns an error.
func (t *trial) run(ctx context.Context) (err error) {
	defer func() {
		if t.backend != nil {
			err = errors.Join(err, t.release(ctx))
		}
	}()
	if err := t.load(ctx); err != nil {
		return err
	}
	t.idle(ctx)
	rate, err := t.warmUp(ctx)
	if err != nil {
		return err
	}
	work, err := t.prepare(ctx, rate)
	if err != nil {
		return err
	}
	run, settledNs, err := t.measure(ctx, work)
	if err != nil {
		return err
	}
	return t.window(ctx, run, settledNs, work)
}

// load starts a fresh process and loads the engine.
func (t *trial) load(ctx context.Context) error {
	t.progress(PhaseLoad, 0, "")
	backend, plugin, err := t.opener.Backend(ctx, t.cell, t.attempt.Log())
	if err != nil {
		return &phaseError{phase: "start", err: err}
	}
	t.backend, t.record.Plugin = backend, plugin
	t.workDir, err = os.MkdirTemp("", "llem-load-")
	if err != nil {
		return &phaseError{phase: "load", err: fmt.Errorf("make a directory for the load's files: %w", err)}
	}
	loadCtx, cancel := context.WithCancel(ctx)
	if limit := t.study.Limits.LoadTimeoutS; limit > 0 {
		loadCtx, cancel = context.WithTimeout(ctx, seconds(limit))
	}
	defer cancel()
	load := &result.Load{BeginNs: sdk.MonoNow()}
	report, err := backend.Load(loadCtx, sdk.LoadRequest{
		Cell: contractCell(t.cell), WorkDir: t.workDir, CacheDir: t.cacheDir, Secrets: t.secrets[t.cell.Instance],
	}, func(stage sdk.StageEvent) {
		load.Stages = append(load.Stages, stage)
		t.progress(PhaseLoad, stage.Fraction, string(stage.Kind)+" "+stage.Message)
	})
	load.EndNs = sdk.MonoNow()
	t.record.Load = load
	if err != nil {
		failed := &phaseError{phase: "load", err: err}
		if ctx.Err() == nil && errors.Is(loadCtx.Err(), context.DeadlineExceeded) {
			failed.code = codeLoadTimeout
			failed.err = fmt.Errorf("loading took longer than limits.load_timeout_s = %v s: %w", t.study.Limits.LoadTimeoutS, err)
		}
		return failed
	}
	load.Report = report
	for _, w := range report.Warnings {
		t.warn(w.Code, energy.SeverityWarning, w.Message)
	}
	if report.Model.RandomWeights {
		t.warn("random_weights", energy.SeverityInfo, "the weights are random: speed and energy are real, the text is not")
	}
	t.chooseHeadline(report)
	return nil
}

// chooseHeadline decides which domains are added up for the headline number.
func (t *trial) chooseHeadline(report sdk.LoadReport) {
	var gpus []string
	for _, device := range report.Devices {
		if device.Kind == "gpu" {
			gpus = append(gpus, device.ID)
		}
	}
	choice := energy.Headline(t.recorder.domains(), gpus)
	t.record.Boundary = choice.Boundary.String()
	for _, domain := range choice.Headline {
		t.record.Headline = append(t.record.Headline, domain.ID)
	}
	t.record.Warnings = append(t.record.Warnings, choice.Warnings...)
}

// idle records the power with the model loaded and no request.
func (t *trial) idle(ctx context.Context) {
	wait := seconds(t.cell.Protocol.IdleS)
	if wait <= 0 {
		return
	}
	t.progress(PhaseIdle, 0, "")
	from := sdk.MonoNow()
	if !sleep(ctx, wait) {
		return
	}
	to := sdk.MonoNow()
	traces := t.recorder.waitUntil(ctx, to, watermarkLimit)
	for id, trace := range traces {
		window, err := trace.Window(from, to)
		if err != nil {
			// Idle power is metadata: without it the trial goes on.
			t.warn("idle_power_unknown", energy.SeverityInfo, err.Error())
			continue
		}
		if t.record.IdlePowerW == nil {
			t.record.IdlePowerW = map[string]float64{}
		}
		t.record.IdlePowerW[id] = window.MeanPowerW
	}
}

// vocab is the range that prompt ids are drawn from.
func (t *trial) vocab() uint32 {
	if v := t.record.Load.Report.Model.Vocab; v != nil {
		return *v
	}
	return 0
}

// spec is the shape of every Run of this cell.
func (t *trial) spec(workID string) sdk.RunSpec {
	spec := sdk.RunSpec{
		WorkID: workID, Loop: contractLoop(t.cell.Load.Mode), Record: sdk.RecordRequest,
		RecordSteps: true, HeartbeatMs: 1000,
	}
	if spec.Loop == sdk.LoopBatch {
		spec.RequestsPerPass = uint32(t.cell.Workload.Requests)
	} else {
		spec.Concurrency = uint32(t.cell.Load.Concurrency)
		spec.Record = sdk.RecordChunk
	}
	return spec
}

// warmUp runs the workload at full shape and returns the rate in requests/s.
func (t *trial) warmUp(ctx context.Context) (float64, error) {
	t.progress(PhaseWarmUp, 0, "")
	fail := func(err error) (float64, error) { return 0, &phaseError{phase: "warm-up", err: err} }
	if t.record.Load.Report.Model.Vocab == nil {
		t.warn("vocab_unknown", energy.SeverityWarning, fmt.Sprintf("the backend does not tell its vocabulary; prompt ids are below %d", assumedVocab))
	}
	passes, limitNs := warmUpPasses, warmUpNs
	if t.cell.Protocol.Warmup == "fast" {
		passes, limitNs = 1, 0
	}
	spec := t.spec("")
	unit := int(spec.RequestsPerPass)
	if spec.Loop != sdk.LoopBatch {
		unit = max(t.cell.Load.Concurrency, 1)
		passes = max(passes, 2)
	}
	items := requests(t.cell.Workload, t.vocab(), warmUpStream, unit*passes)
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return fail(err)
	}
	spec.WorkID, spec.MaxDurationNs = prepared.WorkID, limitNs
	if limitNs == 0 {
		spec.MaxRequests = uint32(unit * passes)
	}
	run, err := driveRun(ctx, t.backend, spec, t.stall, func(runView) sdk.StopKind { return sdk.StopNone })
	if err != nil {
		return fail(err)
	}
	t.record.WarmUp = &run.record
	rate := warmRate(run)
	if rate <= 0 {
		return fail(fmt.Errorf("none of %d requests completed (%d failed)%s", run.record.Requests, run.record.Failed, firstError(run.completions)))
	}
	return rate, nil
}

// warmRate is the greatest rate seen, in requests/s: the first passes may be
// slow, and work that is left over costs little.
func warmRate(run driven) float64 {
	done := float64(run.record.Requests - run.record.Failed)
	rate := done / (float64(run.record.EndNs-run.record.BeginNs) / 1e9)
	for _, p := range run.record.Passes {
		if p.EndNs > p.BeginNs && p.Failed < p.Requests {
			rate = max(rate, float64(p.Requests-p.Failed)/(float64(p.EndNs-p.BeginNs)/1e9))
		}
	}
	return rate
}

func firstError(completions []sdk.Completion) string {
	for _, c := range completions {
		if c.Failed() {
			return "; the first error: " + c.Error
		}
	}
	return ""
}

// preparedWork is what the measured Run will send.
type preparedWork struct {
	id    string
	items []sdk.WorkItem
}

// prepare hands over 1.5 times the work that the warm-up's rate predicts for
// the longest conditioning and all windows.
func (t *trial) prepare(ctx context.Context, rate float64) (preparedWork, error) {
	t.progress(PhasePrepare, 0, "")
	p := t.cell.Protocol
	longest := float64(newSettleRule(p.ConditioningS).mostNs)/1e9 + float64(t.windows)*p.WindowS
	unit := t.cell.Workload.Requests
	if t.cell.Load.Mode != string(sdk.LoopBatch) {
		unit = max(1, t.cell.Load.Concurrency)
	}
	count := int(math.Ceil(workSurplus*rate*longest/float64(unit))) + 3*(t.windows+1)
	most := mostPreparedTokens / max(1, t.cell.Workload.InputTokens*unit)
	if count > most {
		t.warn("work_capped", energy.SeverityWarning, fmt.Sprintf("%d passes were wanted and %d prepared, to bound memory; the Run may end early", count, most))
		count = most
	}
	items := requests(t.cell.Workload, t.vocab(), 0, count*unit)
	prepared, err := t.backend.Prepare(ctx, t.contractWork(items))
	if err != nil {
		return preparedWork{}, &phaseError{phase: "prepare", err: err}
	}
	t.record.Work = &result.Work{
		Hash: workHash(t.cell.Workload, t.vocab()), Requests: len(items),
		TokenHash: hex.EncodeToString(prepared.TokenHash[:]),
	}
	return preparedWork{id: prepared.WorkID, items: items}, nil
}

// measure runs conditioning and windows in one Run. settledNs is where the
// windows may begin.
func (t *trial) measure(ctx context.Context, work preparedWork) (driven, int64, error) {
	var (
		rule      = newSettleRule(t.cell.Protocol.ConditioningS)
		wanted    = int64(float64(t.windows) * t.cell.Protocol.WindowS * 1e9)
		settledNs int64
	)
	t.progress(PhaseConditioning, 0, "")
	decide := func(v runView) sdk.StopKind {
		if settledNs == 0 {
			state := t.settleState(v)
			over, settled, reason := rule.decide(state)
			if !over {
				return sdk.StopNone
			}
			settledNs = v.nowNs
			t.record.Conditioning = &result.Conditioning{FromNs: v.beginNs, ToNs: v.nowNs, Settled: settled, Reason: reason}
			t.progress(PhaseWindow, 0, "")
			return sdk.StopNone
		}
		if !t.enough(v, settledNs, wanted) {
			return sdk.StopNone
		}
		if t.spec("").Loop == sdk.LoopBatch {
			return sdk.StopAfterPass
		}
		return sdk.StopDrain
	}
	run, err := driveRun(ctx, t.backend, t.spec(work.id), t.stall, decide)
	t.record.Run = &run.record
	if err := t.attempt.WriteRequests(run.completions, "measured"); err != nil {
		return run, 0, &phaseError{phase: "write", err: err}
	}
	if err != nil {
		return run, 0, &phaseError{phase: "run", err: err}
	}
	if settledNs == 0 {
		return run, 0, &phaseError{phase: "run", code: codeWorkMissing, err: fmt.Errorf(
			"the Run ended (%s) before conditioning was over, after %d requests", run.record.Reason, run.record.Requests)}
	}
	if !t.record.Conditioning.Settled {
		t.warn("not_warm", energy.SeverityWarning, t.record.Conditioning.Reason)
	}
	return run, settledNs, nil
}

// enough tells whether the windows can be cut from what has run by now.
func (t *trial) enough(v runView, settledNs, wantedNs int64) bool {
	if t.spec("").Loop == sdk.LoopBatch {
		return len(cutPasses(v.passes, nil, settledNs, wantedNs/int64(t.windows), t.windows)) == t.windows
	}
	// Completions arrive late; a margin of two rounds, by the rate seen so
	// far, makes sure that both edges exist.
	last := v.beats[len(v.beats)-1]
	elapsed := float64(v.nowNs - v.beginNs)
	round := elapsed * float64(max(1, t.cell.Load.Concurrency)) / math.Max(1, float64(last.Done))
	return float64(v.nowNs-settledNs) >= float64(wantedNs)+round*float64(1+2*t.windows)
}

// settleState reads pass times and power at this moment. It looks at the
// recordings as far as they are complete: nothing waits for a sensor here.
func (t *trial) settleState(v runView) settleState {
	s := settleState{sinceBeginNs: v.nowNs - v.beginNs}
	for _, p := range v.passes {
		s.passTimes = append(s.passTimes, float64(p.EndNs-p.BeginNs)/1e9)
	}
	if len(v.passes) == 0 {
		for i := 1; i < len(v.beats); i++ {
			a, b := v.beats[i-1], v.beats[i]
			if b.Done > a.Done {
				s.passTimes = append(s.passTimes, float64(b.MonoNs-a.MonoNs)/float64(b.Done-a.Done)/1e9)
			}
		}
	}
	traces := t.recorder.traces()
	until := v.nowNs
	for _, id := range t.record.Headline {
		until = min(until, traces[id].CompleteUntilNs-traces[id].Domain.LagNs)
	}
	half := (until - v.beginNs) / 3
	for _, id := range t.record.Headline {
		older, errOld := traces[id].Window(until-2*half, until-half)
		newer, errNew := traces[id].Window(until-half, until)
		if errOld != nil || errNew != nil {
			s.powerOld, s.powerNew = 0, 0
			break
		}
		s.powerOld += older.MeanPowerW
		s.powerNew += newer.MeanPowerW
	}
	return s
}

// window cuts the Run and computes energy and metrics.
func (t *trial) window(ctx context.Context, run driven, settledNs int64, work preparedWork) error {
	t.progress(PhaseCompute, 0, "")
	windowNs := int64(t.cell.Protocol.WindowS * 1e9)
	var cuts []cut
	if t.spec("").Loop == sdk.LoopBatch {
		cuts = cutPasses(run.record.Passes, run.completions, settledNs, windowNs, t.windows)
		t.record.Work.PassHashes = passHashes(work.items, t.cell.Workload.Requests, len(run.record.Passes))
	} else {
		cuts = cutCompletions(run.completions, max(1, t.cell.Load.Concurrency), settledNs, windowNs, t.windows)
	}
	traces := t.recorder.waitUntil(ctx, run.record.EndNs, watermarkLimit)
	if err := t.attempt.WritePower(traces, t.record.Load.EndNs, run.record.EndNs); err != nil {
		return &phaseError{phase: "write", err: err}
	}
	for i, c := range cuts {
		t.record.Windows = append(t.record.Windows, t.measureCut(i, c, traces))
	}
	t.gates()
	if len(cuts) < t.windows {
		return &phaseError{phase: "window", code: codeWorkMissing, err: fmt.Errorf(
			"%d of %d windows of %v s fit into the Run, which ended with %q after %.1f s; prepare for a longer Run or shorten protocol.window_s",
			len(cuts), t.windows, t.cell.Protocol.WindowS, run.record.Reason, float64(run.record.EndNs-run.record.BeginNs)/1e9)}
	}
	for _, w := range t.record.Windows {
		if w.EnergyJ == nil {
			return &phaseError{phase: "window", code: codeNoEnergy, err: fmt.Errorf("no energy for the headline: %s", domainErrors(t.record, w, t.recorder))}
		}
	}
	return nil
}

func domainErrors(record *result.Trial, w result.Window, r *recorder) string {
	text := ""
	for _, d := range w.Domains {
		if d.Error == "" {
			continue
		}
		if text += d.Error + "; "; r.failure(d.Source) != nil {
			text += fmt.Sprintf("source %s stopped: %v; ", d.Source, r.failure(d.Source))
		}
	}
	if len(record.Headline) == 0 {
		text += "no domain covers the devices of this cell; "
	}
	return text + "`llem plugins list` shows the energy sources"
}

// measureCut computes one window from one cut.
func (t *trial) measureCut(index int, c cut, traces map[string]*energy.Trace) result.Window {
	w := result.Window{
		Index: index, FromNs: c.FromNs, ToNs: c.ToNs, Rule: c.Rule, Passes: c.Passes,
		Requests: c.Requests, Failed: c.Failed, PromptTokens: c.PromptTokens,
		OutputTokens: c.OutputTokens, PaddingTokens: c.PaddingTokens,
	}
	duration := float64(w.DurationNs()) / 1e9
	w.OutputTokensPerS = float64(w.OutputTokens) / duration
	w.TTFT, w.TPOT, w.E2E = latencies(c.Completions)
	var headline []energy.Domain
	var parts []energy.Window
	for _, domain := range t.recorder.domains() {
		entry := result.DomainEnergy{DomainID: domain.ID, Kind: domain.Kind, Source: domain.Source, Estimated: domain.Estimated}
		part, err := traces[domain.ID].Window(c.FromNs, c.ToNs)
		if err != nil {
			entry.Error = err.Error()
		} else {
			entry.Window = part
		}
		w.Domains = append(w.Domains, entry)
		if err == nil && contains(t.record.Headline, domain.ID) {
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
	if prompt, output := c.mismatch(); math.Abs(prompt) > 0.01 || math.Abs(output) > 0.01 {
		w.Warnings = append(w.Warnings, energy.Warning{Code: "work_mismatch", Severity: energy.SeverityWarning, Message: fmt.Sprintf(
			"tokens stamped in the window differ from its requests' by %+.1f %% (prompt) and %+.1f %% (output)", 100*prompt, 100*output)})
	}
	return w
}

func ratio(energyJ float64, count int64) *float64 {
	v := energyJ / float64(count)
	return &v
}

// release unloads and ends the process. It works on a cancelled ctx, too: an
// interrupt must leave nothing behind.
func (t *trial) release(ctx context.Context) error {
	t.progress(PhaseUnload, 0, "")
	unloading, cancel := context.WithTimeout(context.WithoutCancel(ctx), unloadLimit)
	defer cancel()
	err := t.backend.Unload(unloading)
	t.backend.Kill()
	if t.workDir != "" {
		if gone := os.RemoveAll(t.workDir); gone != nil {
			t.warn("work_dir_left", energy.SeverityInfo, gone.Error())
		}
	}
	var died *host.DiedError
	if err != nil && !errors.As(err, &died) {
		// The windows are whole; that the engine did not end well is a note.
		t.warn("unload_failed", energy.SeverityWarning, err.Error())
	}
	return nil
}

func (t *trial) warn(code string, severity energy.Severity, message string) {
	t.record.Warnings = append(t.record.Warnings, energy.Warning{Code: code, Severity: severity, Message: message})
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// sleep waits for d, or returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
