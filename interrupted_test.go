package llem_test

import (
	"context"
	"errors"
	"testing"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/study"
)

// What an interrupt broke off is still to be measured, and no failure.
func TestAnInterruptedTrialIsMissingAndNotFailed(t *testing.T) {
	spec := write(t, "")
	spec.Protocol.Cycles = 2
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := settings(t)
	s.Progress = func(at measure.Progress) {
		if at.Trial == 2 && at.Phase == measure.PhaseMeasure {
			cancel()
		}
	}
	r, err := llem.RunStudy(ctx, llem.Study{Spec: spec, Settings: s})
	if !errors.Is(err, context.Canceled) || len(r.Trials) != 1 || len(r.Failed) != 0 || len(r.Interrupted) != 1 || r.Outcome != (measure.Outcome{Done: 1, Interrupted: 1}) {
		t.Fatalf("%v: %d trials, %d failed, %d interrupted, %+v", err, len(r.Trials), len(r.Failed), len(r.Interrupted), r.Outcome)
	}
	again, err := llem.Report(r.Dir, study.UserConfig{}, llem.FactorsDefault)
	if err != nil || again.Lost() != 0 || len(again.Interrupted) != 1 || len(again.Summary.Problems) != 1 || again.Summary.Problems[0].Code != "trials_missing" {
		t.Errorf("%v: %d lost, %d interrupted, problems %v", err, again.Lost(), len(again.Interrupted), again.Summary.Problems)
	}
}
