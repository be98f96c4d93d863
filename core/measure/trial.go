package measure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
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

	watch watch
	// gpus of the deployment by UUID, and checks the second readings of each
	// headline domain.
	gpus   []string
	checks map[string][]string
	// withoutEnergy is why headline domains have no joules in windows.
	withoutEnergy []energy.Warning
}

// run goes through the protocol. What it learned is in t.record, whether or
// not it returns an error.
func (t *trial) run(ctx context.Context) (err error) {
	defer func() { t.release(ctx, err) }()
	defer func() {
		t.record.Warnings = append(t.record.Warnings, append(t.recorder.notes(), t.recorder.doubts()...)...)
		if err != nil { // what the devices were like may say why
			t.record.Devices = t.watch.devices(t.gpus)
		}
	}()
	if err := t.load(ctx); err != nil {
		return err
	}
	if err := t.idle(ctx); err != nil {
		return &phaseError{phase: "idle", err: err}
	}
	rate, err := t.warmUp(ctx)
	if err != nil {
		return err
	}
	work, err := t.prepare(ctx, rate)
	if err != nil {
		return err
	}
	if err := t.coolDown(ctx); err != nil {
		return &phaseError{phase: "cooldown", err: err}
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
	backend, plugin, err := t.Opener.Backend(ctx, t.cell, t.attempt.Log())
	if err != nil {
		return &phaseError{phase: "start", err: err}
	}
	t.backend, t.record.Plugin = backend, plugin
	t.workDir, err = os.MkdirTemp("", "llem-load-")
	if err != nil {
		return &phaseError{phase: "load", err: fmt.Errorf("make a directory for the load's files: %w", err)}
	}
	loadCtx := ctx
	if limit := t.Study.Limits.LoadTimeoutS; limit > 0 {
		limited, cancel := context.WithTimeout(ctx, seconds(limit))
		defer cancel()
		loadCtx = limited
	}
	t.watch.period, t.watch.limit = t.waits.reading, t.waits.look
	t.watch.idle, t.watch.unloadedNs = t.waits.idle, t.unloadedNs
	t.watch.begin(ctx, t.recorder.sources)
	load := &result.Load{BeginNs: sdk.MonoNow()}
	report, err := backend.Load(loadCtx, sdk.LoadRequest{
		Cell: ContractCell(t.cell), WorkDir: t.workDir, CacheDir: t.CacheDir, Secrets: t.Secrets[t.cell.Instance],
	}, func(stage sdk.StageEvent) {
		load.Stages = append(load.Stages, stage)
		t.progress(PhaseLoad, stage.Fraction, string(stage.Kind)+" "+stage.Message)
	})
	load.EndNs = sdk.MonoNow()
	t.record.Load = load
	if err != nil {
		failed := &phaseError{phase: "load", err: err}
		if ctx.Err() == nil && endsBefore(loadCtx, ctx) &&
			(loadCtx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
			failed.code = codeLoadTimeout
			failed.err = fmt.Errorf("loading took longer than limits.load_timeout_s = %v s: %w", t.Study.Limits.LoadTimeoutS, err)
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
	return t.chooseHeadline(report)
}

// endsBefore tells whether inner has a deadline of its own. The call may report
// it a moment before inner itself does.
func endsBefore(inner, outer context.Context) bool {
	own, has := inner.Deadline()
	theirs, bounded := outer.Deadline()
	return has && (!bounded || own.Before(theirs))
}

// chooseHeadline decides which domains are added up for the headline number.
// Without any the trial would have no result, and is not run.
func (t *trial) chooseHeadline(report sdk.LoadReport) error {
	for _, device := range report.Devices {
		if device.Kind == "gpu" {
			t.gpus = append(t.gpus, device.ID)
		}
	}
	gpus := slices.Clone(t.gpus)
	slices.Sort(t.gpus)
	t.gpus = slices.Compact(t.gpus)
	for _, need := range t.check.Devices {
		if need.Kind == "gpu" && int(need.Min) > len(gpus) {
			return &phaseError{phase: "load", code: codeNoEnergy, err: fmt.Errorf(
				"the backend needs %d GPUs and names %d that it holds, so it is not known whose energy to count; its load report must name them by UUID", need.Min, len(gpus))}
		}
	}
	choice := energy.Headline(t.recorder.timed(), gpus)
	t.checks = checksOf(choice)
	t.record.Boundary = choice.Boundary.String()
	for _, domain := range choice.Headline {
		t.record.Headline = append(t.record.Headline, domain.ID)
	}
	t.record.Warnings = append(t.record.Warnings, choice.Warnings...)
	if len(choice.Headline) == 0 {
		return &phaseError{phase: "load", code: codeNoEnergy, err: fmt.Errorf(
			"no domain covers the devices of this cell: %s; %s", choice.Reason, t.uncovered(t.gpus))}
	}
	return nil
}

// idle records the context idle: the power with the model loaded and no request.
// It fails only if ctx ends.
func (t *trial) idle(ctx context.Context) error {
	wait := seconds(t.cell.Protocol.IdleS)
	if wait <= 0 {
		return ctx.Err()
	}
	t.progress(PhaseIdle, 0, "")
	from := sdk.MonoNow()
	if !sleep(ctx, wait) {
		return ctx.Err()
	}
	to := sdk.MonoNow()
	t.record.Idle = &result.Idle{FromNs: from, ToNs: to}
	traces := t.recorder.waitUntil(ctx, to, t.waits.watermark)
	power, unknown := idlePower(traces, from, to)
	t.record.IdlePowerW = power
	for _, err := range unknown {
		// Idle power is metadata: without it the trial goes on.
		t.warn("idle_power_unknown", energy.SeverityInfo, err.Error())
	}
	return ctx.Err()
}

// idlePower is the mean power of each domain between two stamps, nil without any, and
// why it is not known of others. A counter beside power samples of the same devices is
// left out where it was not read: their power is known.
func idlePower(traces map[string]*energy.Trace, from, to int64) (power map[string]float64, unknown []error) {
	failed := map[string]error{}
	for id, trace := range traces {
		window, err := trace.Window(from, to)
		if err != nil {
			failed[id] = err
			continue
		}
		if power == nil {
			power = map[string]float64{}
		}
		power[id] = window.MeanPowerW
	}
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		known := false
		for first := range power {
			known = known || traces[id].Domain.IsCheckOf(traces[first].Domain)
		}
		if !known {
			unknown = append(unknown, failed[id])
		}
	}
	return power, unknown
}

// release unloads and ends the process. It works on a cancelled ctx, too: an
// interrupt must leave nothing behind. ended is how the trial went.
func (t *trial) release(ctx context.Context, ended error) {
	if t.backend == nil {
		return
	}
	t.progress(PhaseUnload, 0, "")
	unloading, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.waits.unload)
	defer cancel()
	var (
		err  error
		lost *host.LostError
	)
	if !errors.As(ended, &lost) { // one that hangs would not answer
		err = t.backend.Unload(unloading)
	}
	t.backend.Kill()
	t.unloadedNs = sdk.MonoNow()
	if t.workDir != "" {
		if gone := os.RemoveAll(t.workDir); gone != nil {
			t.warn("work_dir_left", energy.SeverityInfo, gone.Error())
		}
	}
	var died *host.DiedError
	if err != nil && (ended == nil || !errors.As(err, &died)) {
		// The windows are whole; that the engine did not end well is a note.
		// One that had died before cannot be unloaded, and the failure says so.
		t.warn("unload_failed", energy.SeverityWarning, err.Error())
	}
}

func (t *trial) warn(code string, severity energy.Severity, message string) {
	t.record.Warnings = append(t.record.Warnings, energy.Warning{Code: code, Severity: severity, Message: message})
}

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

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
