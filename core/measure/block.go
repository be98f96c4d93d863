package measure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// place is where a trial stands in the plan.
type place struct {
	block, position int
	notes           []energy.Warning // on what happened since the trial before
}

// block runs the trials of one block under one recording of the energy
// sources. A source that died or stands still is started again before the next
// trial: only the trial that it failed in is lost.
func (s *session) block(ctx context.Context, b plan.Block, out *Outcome) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.Progress(Progress{Trial: s.trials - out.NotRun + 1, Trials: s.trials, Block: b.Index, Phase: PhaseSources})
	recorder, err := s.openSources(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if recorder != nil {
			recorder.close(ctx)
		}
	}()
	for position, id := range b.Order {
		// An interrupt may come when a trial has all that it needs.
		if err := ctx.Err(); err != nil {
			return err
		}
		at := place{block: b.Index, position: position}
		if broken := recorder.broken(); len(broken) > 0 {
			recorder.close(ctx)
			if recorder, err = s.openSources(ctx); err != nil {
				return fmt.Errorf("start energy source %s again, which had stopped or stood still: %w", strings.Join(broken, ", "), err)
			}
			at.notes = append(at.notes, energy.Warning{Code: "source_restarted", Severity: energy.SeverityInfo,
				Message: fmt.Sprintf("energy source %s had stopped or stood still and was started again before this trial", strings.Join(broken, ", "))})
		}
		recorder.trim(sdk.MonoNow())
		index := s.cells[id]
		out.NotRun--
		now := Progress{Trial: s.trials - out.NotRun, Trials: s.trials, Block: b.Index, Label: s.Cells[index].Label}
		record, err := s.trial(ctx, s.Cells[index], s.Checks[index], recorder, at, func(phase Phase, fraction float64, detail string) {
			p := now
			p.Phase, p.Fraction, p.Detail = phase, fraction, detail
			s.Progress(p)
		})
		switch {
		case err == nil && record.Status == result.StatusOK:
			out.Done++
		case record != nil && record.Status == result.StatusInterrupted:
			out.Interrupted++
		default:
			out.Failed++
		}
		if record == nil { // it did not begin
			return err
		}
		now.Phase, now.Finished = PhaseDone, record
		s.Progress(now)
		if err != nil {
			return err
		}
		if most := s.Study.Limits.MaxFailures; most > 0 && out.Failed >= most {
			out.GaveUp = fmt.Sprintf("%d trials failed (limits.max_failures = %d)", out.Failed, most)
			return nil
		}
	}
	return nil
}

// openSources opens the study's sources.
func (s *session) openSources(ctx context.Context) (*recorder, error) {
	r, err := openSources(ctx, s.Opener, s.Study.Energy, s.usesGPU)
	if err == nil {
		r.standstill = s.waits.standstill
	}
	return r, err
}

// trial runs and stores one trial. An error means that the study cannot go on:
// it was interrupted, or its directory cannot be written. A record that could not
// be stored says so; it is nil if the trial could not even begin.
func (s *session) trial(ctx context.Context, cell study.Cell, check sdk.CellCheck, recorder *recorder, at place, progress func(Phase, float64, string)) (*result.Trial, error) {
	attempt, err := s.Dir.Begin(cell.ID, at.block)
	if err != nil {
		return nil, err
	}
	record := &result.Trial{
		SchemaVersion: result.SchemaVersion, Study: s.Study.Name, Block: at.block, Position: at.position,
		Cell: result.Cell{
			ID: cell.ID, Label: cell.Label, Instance: cell.Instance, Parameters: sdk.Table(cell.Parameters), Definition: cell.Definition,
			Loop: contractLoop(cell.Load.Mode), Grouped: s.Study.Protocol.Order == plan.Grouped, Axes: axes(cell),
			Probe: cell.Probe, ProbeID: cell.ProbeID,
		},
		Host: s.host, BootID: sdk.BootID(), CoreVersion: s.CoreVersion,
		StartedUTC: time.Now().UTC().Format(time.RFC3339), Sources: recorder.describe(),
		Warnings: append(append([]energy.Warning{}, at.notes...), recorder.said()...), Headline: []string{}, Windows: []result.Window{},
	}
	t := &trial{session: s, cell: cell, check: check, recorder: recorder, attempt: attempt, record: record, progress: progress}
	if t.cold() { // a trial that fails early is of its regime, too
		record.Regime = result.RegimeCooldown
	}
	for _, d := range check.Diagnostics {
		if d.Severity != sdk.SeverityError {
			t.warn(string(d.Severity)+"_parameter", energy.SeverityWarning, d.KeyPath+": "+d.Message)
		}
	}
	trialCtx, cancel := ctx, context.CancelFunc(func() {})
	limit := s.Study.Limits.TrialTimeoutS
	if limit > 0 {
		trialCtx, cancel = context.WithTimeout(ctx, seconds(limit))
	}
	err = t.run(trialCtx)
	tookTooLong := trialCtx.Err() != nil
	cancel()
	record.FinishedUTC = time.Now().UTC().Format(time.RFC3339)
	if err == nil {
		record.Status = result.StatusOK
		switch err = attempt.Publish(*record); {
		case err == nil:
			return record, nil
		case errors.Is(err, result.ErrExists):
			// Another process was first; nothing is missing, and the study
			// goes on.
			record.Status = result.StatusFailed
			record.Failure = &result.Failure{Phase: "write", Code: codeAlreadyThere, Message: err.Error()}
			return record, nil
		case !errors.Is(err, result.ErrUnstorable):
			record.Status, record.Ranked = result.StatusFailed, false
			record.Failure = &result.Failure{Phase: "write", Code: codeUnstorable, Message: err.Error()}
			return record, err
		}
		// It is this record alone that no file can hold.
		err = &phaseError{phase: "write", code: codeUnstorable, err: err}
	}
	record.Status, record.Ranked, record.Failure = result.StatusFailed, false, failure(err)
	if t.backend != nil && len(record.Failure.StderrTail) == 0 {
		record.Failure.StderrTail = t.backend.StderrTail()
	}
	// An end from outside shows as many errors, each a race of its own.
	switch {
	case ctx.Err() != nil:
		record.Status = result.StatusInterrupted
		record.Failure.Code, record.Failure.Message = result.CodeInterrupted, "the study was interrupted"
	case tookTooLong:
		record.Failure.Code = codeTrialTimeout
		record.Failure.Message = fmt.Sprintf("the trial took longer than limits.trial_timeout_s = %v s", limit)
	}
	if err := attempt.Fail(*record); err != nil {
		return record, err
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
