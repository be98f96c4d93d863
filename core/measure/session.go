package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Opener starts processes. The registry's adapter satisfies it.
type Opener interface {
	// Backend starts a fresh process of the cell's plugin; every stderr line
	// of it goes to log.
	Backend(ctx context.Context, cell study.Cell, log io.Writer) (*host.Plugin, result.Plugin, error)
	// Source starts an energy source by the name that the study uses, or
	// fails with ErrNotInstalled.
	Source(ctx context.Context, name string) (Source, error)
}

// Options of Run.
type Options struct {
	Study *study.Study
	Plan  plan.Plan
	Cells []study.Cell
	// Checks are the verdicts on Cells, in the same order.
	Checks []sdk.CellCheck
	Opener Opener
	Dir    *result.Dir
	// CacheDir for what plugins want to keep between loads.
	CacheDir string
	// Secrets by instance and parameter key, resolved.
	Secrets     map[string]map[string]string
	CoreVersion string
	// Stall bounds the time that a Run may go without any progress; 0 = two
	// minutes.
	Stall time.Duration
	// Progress is told what goes on, if set. It is not called inside windows.
	Progress func(Progress)
}

// Phase of a trial.
type Phase string

// The phases.
const (
	PhaseSources      Phase = "open energy sources"
	PhaseLoad         Phase = "load"
	PhaseIdle         Phase = "idle"
	PhaseWarmUp       Phase = "warm up"
	PhasePrepare      Phase = "prepare"
	PhaseConditioning Phase = "conditioning"
	PhaseWindow       Phase = "window"
	PhaseCompute      Phase = "compute"
	PhaseUnload       Phase = "unload"
	PhaseDone         Phase = "done"
)

// Progress is what is going on.
type Progress struct {
	// Trial counts from 1 to Trials.
	Trial, Trials int
	Block         int
	Label         string
	Phase         Phase
	Fraction      float64
	Detail        string
	// Finished is the trial's record, with PhaseDone.
	Finished *result.Trial
}

// Outcome counts what happened to the plan's trials.
type Outcome struct {
	Done, Failed int
	// NotRun were left out because the study was interrupted or gave up.
	NotRun int
	// GaveUp says why the rest was not run, or is empty.
	GaveUp string
}

// defaultStall is how long a Run may go without progress.
const defaultStall = 2 * time.Minute

// session is what all trials of one Run call share.
type session struct {
	study       *study.Study
	opener      Opener
	dir         *result.Dir
	cacheDir    string
	secrets     map[string]map[string]string
	coreVersion string
	stall       time.Duration
	windows     int
	host        string
}

// Run measures every trial of the plan that is not in the directory yet. One
// failed trial does not stop the study. The error is about the study as a
// whole: no energy source, a directory that cannot be written, ctx ended.
func Run(ctx context.Context, o Options) (Outcome, error) {
	hostName, err := os.Hostname()
	if err != nil {
		return Outcome{}, fmt.Errorf("ask for the host's name: %w", err)
	}
	s := &session{
		study: o.Study, opener: o.Opener, dir: o.Dir, cacheDir: o.CacheDir, secrets: o.Secrets,
		coreVersion: o.CoreVersion, stall: o.Stall, windows: o.Plan.WindowsPerLoad, host: hostName,
	}
	if s.stall == 0 {
		s.stall = defaultStall
	}
	tell := o.Progress
	if tell == nil {
		tell = func(Progress) {}
	}
	cells := map[string]int{}
	usesGPU := false
	for i, c := range o.Cells {
		cells[c.ID] = i
		usesGPU = usesGPU || needsGPU(o.Checks[i])
	}
	var out Outcome
	for _, b := range o.Plan.Blocks {
		out.NotRun += len(b.Order)
	}
	trials := out.NotRun
	for _, block := range o.Plan.Blocks {
		tell(Progress{Trial: trials - out.NotRun, Trials: trials, Block: block.Index, Phase: PhaseSources})
		recorder, err := openSources(ctx, o.Opener, o.Study.Energy, usesGPU)
		if err != nil {
			return out, err
		}
		err = func() error {
			defer recorder.close(ctx)
			for position, id := range block.Order {
				index := cells[id]
				out.NotRun--
				at := Progress{Trial: trials - out.NotRun, Trials: trials, Block: block.Index, Label: o.Cells[index].Label}
				record, err := s.trial(ctx, o.Cells[index], o.Checks[index], recorder, block.Index, position,
					func(phase Phase, fraction float64, detail string) {
						p := at
						p.Phase, p.Fraction, p.Detail = phase, fraction, detail
						tell(p)
					})
				if err != nil {
					return err
				}
				if record.Status == result.StatusOK {
					out.Done++
				} else {
					out.Failed++
				}
				at.Phase, at.Finished = PhaseDone, record
				tell(at)
				if most := o.Study.Limits.MaxFailures; most > 0 && out.Failed >= most {
					out.GaveUp = fmt.Sprintf("%d trials failed (limits.max_failures = %d)", out.Failed, most)
					return errGaveUp
				}
			}
			return nil
		}()
		switch {
		case errors.Is(err, errGaveUp):
			return out, nil
		case err != nil:
			return out, err
		}
	}
	return out, nil
}

var errGaveUp = errors.New("gave up")

func needsGPU(check sdk.CellCheck) bool {
	for _, need := range check.Devices {
		if need.Kind == "gpu" && need.Max > 0 {
			return true
		}
	}
	return false
}

// trial runs and stores one trial. An error means that the study cannot go on:
// it was interrupted, or its directory cannot be written.
func (s *session) trial(ctx context.Context, cell study.Cell, check sdk.CellCheck, recorder *recorder, block, position int, progress func(Phase, float64, string)) (*result.Trial, error) {
	attempt, err := s.dir.Begin(cell.ID, block)
	if err != nil {
		return nil, err
	}
	record := &result.Trial{
		SchemaVersion: result.SchemaVersion, Study: s.study.Name, Block: block, Position: position,
		Cell: result.Cell{
			ID: cell.ID, Label: cell.Label, Instance: cell.Instance, Parameters: sdk.Table(cell.Parameters),
			Loop: contractLoop(cell.Load.Mode), Grouped: s.study.Protocol.Order == plan.Grouped, Axes: axes(cell),
		},
		Host: s.host, BootID: sdk.BootID(), CoreVersion: s.coreVersion,
		StartedUTC: time.Now().UTC().Format(time.RFC3339), Sources: recorder.describe(),
		Warnings: []energy.Warning{}, Headline: []string{}, Windows: []result.Window{},
	}
	t := &trial{session: s, cell: cell, check: check, recorder: recorder, attempt: attempt, record: record, progress: progress}
	for _, d := range check.Diagnostics {
		if d.Severity != sdk.SeverityError {
			t.warn(string(d.Severity)+"_parameter", energy.SeverityWarning, d.KeyPath+": "+d.Message)
		}
	}
	trialCtx, cancel := context.WithCancel(ctx)
	if limit := s.study.Limits.TrialTimeoutS; limit > 0 {
		trialCtx, cancel = context.WithTimeout(ctx, seconds(limit))
	}
	err = t.run(trialCtx)
	cancel()
	record.FinishedUTC = time.Now().UTC().Format(time.RFC3339)
	if err == nil {
		record.Status = result.StatusOK
		return record, attempt.Publish(*record)
	}
	record.Status, record.Ranked, record.Failure = result.StatusFailed, false, failure(err)
	if t.backend != nil && len(record.Failure.StderrTail) == 0 {
		record.Failure.StderrTail = t.backend.StderrTail()
	}
	if ctx.Err() != nil {
		record.Failure.Code, record.Failure.Message = "interrupted", "the study was interrupted"
	}
	if err := attempt.Fail(*record); err != nil {
		return nil, err
	}
	return record, ctx.Err()
}

func axes(cell study.Cell) map[string]any {
	m := map[string]any{}
	for _, a := range cell.Axes {
		m[a.Key] = a.Value
	}
	return m
}
