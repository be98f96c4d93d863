package main

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

func (l *loaded) drive(t *testing.T, w *sdk.Work, concurrency uint32) (done sdk.Completions, finished sdk.Finished) {
	t.Helper()
	run := sdk.NewRun(sdk.RunSpec{Loop: sdk.LoopClosed, Concurrency: concurrency, Record: sdk.RecordChunk}, w, func(event sdk.RunEvent) {
		if some, ok := event.(sdk.Completions); ok {
			done = append(done, some...)
		}
	})
	if err := l.Run(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	finished, err := run.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return done, finished
}

// What the queue held belongs to the Run before, once: the sums are those of the
// requests, whoever reads how often.
func TestTheQueueIsCountedOnce(t *testing.T) {
	l := mustLoad(t, doubleCell(t, "", nil))
	before := l.counters(t)
	done, finished := l.drive(t, work(40, 8), 4)
	after := l.counters(t)
	if again := l.counters(t); *again.EngineSteps != *after.EngineSteps {
		t.Errorf("from %d steps to %d without work", *after.EngineSteps, *again.EngineSteps)
	}
	steps := *after.EngineSteps - *before.EngineSteps
	if prompt := *after.PromptTokens - *before.PromptTokens; prompt != 120 || finished.OutputTokens != 320 || steps < 80 || steps > 320 {
		t.Errorf("%d prompt tokens, %d output tokens, %d steps", prompt, finished.OutputTokens, steps)
	}
	// A request is in as many steps as it has tokens; its first one has its prompt.
	if scheduled := *after.ScheduledTokens - *before.ScheduledTokens; scheduled != 120+320-40 {
		t.Errorf("%d scheduled tokens", scheduled)
	}
	if after.OutputTokens != nil || after.CachedPromptTokens != nil || *after.RunningMean < 1 || *after.RunningMean > 4 {
		t.Errorf("%+v", after)
	}
	for _, c := range done {
		if c.Failed() || c.OutputTokens != 8 || c.OutputHash == nil || len(c.Chunks) != 8 || c.CachedPromptTokens == nil {
			t.Errorf("%+v", c)
		}
	}
}

// Text instead of ids: no hash, the same counts.
func TestText(t *testing.T) {
	l := mustLoad(t, doubleCell(t, "", sdk.Table{"detokenize": true}))
	done, _ := l.drive(t, work(8, 8), 4)
	for _, c := range done {
		if c.Failed() || c.OutputTokens != 8 || c.OutputHash != nil || len(c.Chunks) != 8 {
			t.Errorf("%+v", c)
		}
	}
}

func TestWithoutStatistics(t *testing.T) {
	l := mustLoad(t, doubleCell(t, "", sdk.Table{"iteration_stats": false}))
	if c := l.counters(t); c.EngineSteps != nil || c.MonoNs == 0 {
		t.Errorf("%+v", c)
	}
	if *l.report.KVCapacityTokens != 32768 {
		t.Errorf("%+v", l.report)
	}
}

// Steps that were missed make all sums unknown, and the next Run says so.
func TestStatisticsThatAreLost(t *testing.T) {
	for manners, says := range map[string]string{"loses steps": "another than the next one", "slow statistics": "within 8s"} {
		t.Run(manners, func(t *testing.T) {
			t.Parallel()
			l := mustLoad(t, doubleCell(t, manners, nil))
			l.drive(t, work(4, 1200), 4)
			if c := l.counters(t); c.EngineSteps != nil || c.PromptTokens != nil {
				t.Errorf("%+v", c)
			}
			_, finished := l.drive(t, work(4, 4), 4)
			var said []string
			for _, w := range finished.Warnings {
				if w.Code == "iteration_statistics_lost" {
					said = append(said, w.Message)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], says) {
				t.Errorf("warnings %+v", finished.Warnings)
			}
		})
	}
}
