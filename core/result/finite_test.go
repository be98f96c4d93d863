package result

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

func TestEngineMetricsThatAreNoNumbersDoNotCostTheTrial(t *testing.T) {
	run := &Run{Before: &sdk.Counters{RunningMean: ptr(math.NaN()), Named: []sdk.NamedMetric{{Name: "bad", Value: math.Inf(1)}, {Name: "good", Value: 1}}}}
	text, err := encodeTrial(Trial{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeTrial(text)
	if err != nil {
		t.Fatal(err)
	}
	if c := back.Run.Before; c.RunningMean != nil || len(c.Named) != 1 || c.Named[0].Name != "good" {
		t.Errorf("read %+v", c)
	}
	if len(back.Warnings) != 2 || back.Warnings[1].Code != "metric_not_finite" || !strings.Contains(back.Warnings[1].Message, "+Inf for bad") {
		t.Errorf("warnings %+v", back.Warnings)
	}
	if !math.IsNaN(*run.Before.RunningMean) {
		t.Error("the caller's record was changed")
	}
}

func TestResolvedParametersThatAreNoNumbersAreKeptAsText(t *testing.T) {
	load := &Load{Report: sdk.LoadReport{Resolved: sdk.Table{
		"penalty": math.Inf(1), "share": 0.9, "rope": sdk.Table{"scales": []any{1.0, math.NaN(), math.Inf(-1)}},
	}}}
	text, err := encodeTrial(Trial{Load: load})
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeTrial(text)
	if err != nil {
		t.Fatal(err)
	}
	want := sdk.Table{"penalty": "+Inf", "share": 0.9, "rope": sdk.Table{"scales": []any{1.0, "NaN", "-Inf"}}}
	if diff := cmp.Diff(want, back.Load.Report.Resolved); diff != "" {
		t.Errorf("-want +read:\n%s", diff)
	}
	var said []string
	for _, w := range back.Warnings {
		said = append(said, w.Code+": "+w.Message)
	}
	if diff := cmp.Diff([]string{
		"resolved_not_finite: the engine reported +Inf for parameter penalty; it is kept as text",
		"resolved_not_finite: the engine reported NaN for parameter rope.scales[1]; it is kept as text",
		"resolved_not_finite: the engine reported -Inf for parameter rope.scales[2]; it is kept as text",
	}, said); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if f, ok := load.Report.Resolved["penalty"].(float64); !ok || !math.IsInf(f, 1) {
		t.Error("the caller's record was changed")
	}
}

// A number of our own that is none is a fault: the trial fails by name and
// keeps what the trial was, and nothing is published.
func TestARecordThatCannotBeStored(t *testing.T) {
	for name, spoil := range map[string]func(*Trial){
		"a number":    func(t *Trial) { t.IdlePowerW = map[string]float64{"x": math.NaN()} },
		"a parameter": func(t *Trial) { t.Cell.Parameters = sdk.Table{"x": math.NaN()} },
	} {
		t.Run(name, func(t *testing.T) {
			d, trial := testDir(t), sampleTrial(t, sampleTraces(t))
			spoil(&trial)
			a, err := d.Begin(trial.Cell.ID, trial.Block)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Publish(trial); !errors.Is(err, ErrUnstorable) || !strings.Contains(err.Error(), "NaN") {
				t.Fatalf("published: %v", err)
			}
			trial.Status, trial.Failure = StatusFailed, &Failure{Phase: "write", Code: "record_unstorable"}
			if err := a.Fail(trial); err != nil {
				t.Fatal(err)
			}
			ok, failed, problems := ReadTrials(d.Path())
			if len(ok) != 0 || len(failed) != 1 || len(problems) != 0 {
				t.Fatalf("%d published, %d failed, %v", len(ok), len(failed), problems)
			}
			got := failed[0]
			last := got.Warnings[len(got.Warnings)-1]
			if got.Cell.ID != trial.Cell.ID || got.Failure.Code != "record_unstorable" || last.Code != "record_incomplete" || !strings.Contains(last.Message, "NaN") {
				t.Errorf("kept %+v, %+v", got.Cell, got.Warnings)
			}
		})
	}
}
