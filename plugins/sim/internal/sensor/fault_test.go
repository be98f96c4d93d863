package sensor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/plugins/sim/internal/defaults"
	"github.com/llenergymeasure/llem/sdk"
)

func withDefaults(given sdk.Table) sdk.Table { return defaults.Fill(parameters(), given) }

func TestFaultsDoWhatTheySay(t *testing.T) {
	const afterNs = int64(60e6)
	type seen struct {
		*recording
		err  error
		last sdk.SampleBatch
	}
	tests := map[string]func(seen) bool{
		end: func(s seen) bool { return s.err != nil && !errors.Is(s.err, errEnough) },
		repeat: func(s seen) bool {
			before := s.batches[len(s.batches)-2]
			return s.last.MonoNs[0] == before.MonoNs[0] && s.last.CompleteUntilNs > before.CompleteUntilNs
		},
		backwards: func(s seen) bool { return s.last.CompleteUntilNs-s.last.MonoNs[0] > 9e8 },
		stuck: func(s seen) bool {
			return s.last.CompleteUntilNs == s.batches[len(s.batches)-2].CompleteUntilNs && s.last.MonoNs[0] > s.last.CompleteUntilNs
		},
		gap: func(s seen) bool {
			for i, b := range s.batches {
				if b.Dropped > 0 {
					before := s.batches[i-1].MonoNs
					return b.MonoNs[0]-before[len(before)-1] == int64(b.Dropped+1)*s.UpdatePeriodNs && b.Dropped > 100
				}
			}
			return false
		},
		restart: func(s seen) bool {
			for i, b := range s.batches {
				if b.Epoch == 1 {
					return i > 0 && b.Values[0] == 0 && s.batches[i-1].Values[0] > 0
				}
			}
			return false
		},
		zeros: func(s seen) bool { return s.last.Values[0] == 0 && s.batches[0].Values[0] > 0 },
		flood: func(s seen) bool { return len(s.last.MonoNs) > 1000 },
	}
	for kind, as := range tests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			began := sdk.MonoNow()
			lengthNs := 3 * afterNs
			if kind == gap {
				lengthNs += gapNs
			}
			all, err := record(t, sdk.Table{"fault": kind, "fault_after_ms": float64(afterNs) / 1e6, "period_ms": 1.0}, func(r *recording) bool {
				return sdk.MonoNow()-began > lengthNs
			})
			s := seen{recording: all[0], err: err}
			if len(s.batches) < 2 {
				t.Fatalf("%d batches, %v", len(s.batches), err)
			}
			s.last = s.batches[len(s.batches)-1]
			if kind != end && err != nil {
				t.Error(err)
			}
			if !as(s) {
				t.Errorf("not seen; %d batches, the last of %d samples from %d, complete until %d", len(s.batches), len(s.last.MonoNs), s.last.MonoNs[0], s.last.CompleteUntilNs)
			}
			for i, b := range s.batches {
				if b.Sequence != uint64(i) {
					t.Errorf("batch %d has the sequence %d", i, b.Sequence)
				}
			}
		})
	}
}

// A silent source sends nothing and does not end.
func TestSilence(t *testing.T) {
	source := &Source{}
	if _, err := source.Open(t.Context(), sdk.OpenRequest{Parameters: sdk.Table{"fault": silence, "fault_after_ms": 50.0}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	began, lastNs := sdk.MonoNow(), int64(0)
	err := source.Stream(ctx, func(sdk.SampleBatch) error { lastNs = sdk.MonoNow(); return nil })
	if err != nil || ctx.Err() == nil || lastNs == 0 || lastNs-began > 300e6 {
		t.Errorf("the stream ended with %v; the last batch came %d ms after its begin", err, (lastNs-began)/1e6)
	}
}

func TestWhatTheSchemaCannotRefuse(t *testing.T) {
	for _, c := range []struct {
		parameters sdk.Table
		key        string
	}{
		{sdk.Table{"domains": []any{}}, "domains"},
		{sdk.Table{"domains": []any{"gpu", "toaster"}}, "domains"},
		{sdk.Table{"wave": "sine", "wave_w": 200.0}, "wave_w"},
	} {
		_, err := (&Source{}).Open(t.Context(), sdk.OpenRequest{Parameters: c.parameters})
		var refusal *sdk.Error
		if !errors.As(err, &refusal) || refusal.KeyPath != c.key || refusal.Code != sdk.UnsupportedParameter {
			t.Errorf("%v: %v", c.parameters, err)
		}
	}
}
