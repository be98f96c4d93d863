package host

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

// sensor is an energy source whose counter rises by a joule a millisecond. In
// the mode "large" its fourth batch is one sample too large.
type sensor struct{ mode string }

func (s *sensor) Describe() sdk.Description {
	return sdk.Description{
		Name: "sensor", Version: "1.0.0",
		Parameters: []sdk.Parameter{sdk.Text("mode"), sdk.Text("password").Must().Hidden()},
	}
}

func (s *sensor) Open(_ context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	if req.Secrets["password"] != "sesame" {
		return nil, &sdk.Error{Code: sdk.Permission, Message: "the sensor may not be read", Advice: "say the word"}
	}
	s.mode = req.Parameters.String("mode", "")
	return []sdk.Domain{{
		ID: "psys", Kind: sdk.DomainNode, Reading: sdk.ReadingCounter, Unit: sdk.UnitJoule, UnitNumerator: 1, UnitDenominator: 1000,
	}}, nil
}

func (s *sensor) OpenWarnings() []sdk.Warning {
	return []sdk.Warning{{Code: sdk.CodeSimulatedSource, Message: "it counts time", KeyPath: "mode"}}
}

func (s *sensor) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	for i := uint64(0); ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Millisecond):
		}
		now := sdk.MonoNow()
		batch := sdk.SampleBatch{DomainID: "psys", Sequence: i, CompleteUntilNs: now, MonoNs: []int64{now}, Values: []int64{int64(i) * 1000}}
		if s.mode == "large" && i >= 2 {
			batch.MonoNs = make([]int64, mostBatchSamples+int(i)-2)
			batch.Values = make([]int64, len(batch.MonoNs))
		}
		if err := emit(batch); err != nil {
			return err
		}
	}
}

func (s *sensor) Close(context.Context) error { return nil }

func TestAnEnergySource(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "source")
	if diff := cmp.Diff([]sdk.Kind{sdk.KindEnergySource}, p.Description().Kinds); diff != "" {
		t.Error(diff)
	}
	nothing := func(sdk.SampleBatch) error { return nil }
	if err := p.Stream(t.Context(), nothing); !errors.Is(err, sdk.CallOrder) {
		t.Errorf("stream before open gives %v", err)
	}
	if _, err := p.Open(t.Context(), sdk.OpenRequest{}); !errors.Is(err, sdk.UnsupportedParameter) {
		t.Errorf("open without a required secret gives %v", err)
	}
	_, err := p.Open(t.Context(), sdk.OpenRequest{Secrets: map[string]string{"password": "wrong"}})
	var refused *sdk.Error
	if !errors.As(err, &refused) || refused.Code != sdk.Permission || refused.Advice != "say the word" || refused.Phase != "open" {
		t.Errorf("a forbidden sensor gives %v", err)
	}
	if w := p.OpenWarnings(); w != nil {
		t.Errorf("a source that is not open warns %v", w)
	}
	domains, err := p.Open(t.Context(), sdk.OpenRequest{Secrets: map[string]string{"password": "sesame"}})
	if err != nil || len(domains) != 1 || domains[0].Kind != sdk.DomainNode || domains[0].UnitDenominator != 1000 {
		t.Fatalf("domains are %+v, %v", domains, err)
	}
	if diff := cmp.Diff((&sensor{}).OpenWarnings(), p.OpenWarnings()); diff != "" {
		t.Error(diff)
	}
	// It streams until it is closed, and Close waits for its end.
	var next uint64
	var closing error
	err = p.Stream(t.Context(), func(b sdk.SampleBatch) error {
		if b.Sequence != next || len(b.Values) != 1 || b.Values[0] != int64(next)*1000 {
			t.Errorf("batch %d is %+v", next, b)
		}
		if next++; next == 20 {
			closing = p.Close(t.Context())
		}
		return nil
	})
	if err != nil || closing != nil || next < 20 {
		t.Errorf("%d batches, %v, %v", next, err, closing)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("a second close: %v", err)
	}
	if err := p.Stream(t.Context(), nothing); !errors.Is(err, sdk.CallOrder) {
		t.Errorf("stream after close gives %v", err)
	}
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "both")
	if len(p.Description().Kinds) != 2 || len(p.Description().SourceSchema) != 2 {
		t.Errorf("description is %+v", p.Description())
	}
	if _, err := p.Open(t.Context(), sdk.OpenRequest{Secrets: map[string]string{"password": "sesame"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	err := p.Stream(ctx, func(sdk.SampleBatch) error {
		if cancelled.IsZero() {
			cancelled = time.Now()
			cancel()
		}
		return nil
	})
	if took := time.Since(cancelled); took > 200*time.Millisecond || !errors.Is(err, context.Canceled) {
		t.Errorf("%v after %v", err, took)
	}
}

func TestASourceThatDiesIsNamed(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "source")
	if _, err := p.Open(t.Context(), sdk.OpenRequest{Secrets: map[string]string{"password": "sesame"}}); err != nil {
		t.Fatal(err)
	}
	err := p.Stream(t.Context(), func(b sdk.SampleBatch) error {
		if b.Sequence == 3 {
			return syscall.Kill(p.PID(), syscall.SIGKILL)
		}
		return nil
	})
	var died *DiedError
	if !errors.As(err, &died) || died.Phase != "stream" || died.Signal != "killed" || died.Plugin != "sensor" {
		t.Errorf("got %v", err)
	}
	if sdk.CodeOf(err) != sdk.EngineCrashed {
		t.Errorf("the code is %s", sdk.CodeOf(err))
	}
}

func TestABatchTooLargeIsAFlood(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "source")
	_, err := p.Open(t.Context(), sdk.OpenRequest{
		Parameters: sdk.Table{"mode": "large"}, Secrets: map[string]string{"password": "sesame"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	err = p.Stream(t.Context(), func(sdk.SampleBatch) error { got++; return nil })
	if sdk.CodeOf(err) != SourceFlood || got != 3 || !strings.Contains(err.Error(), "source_flood: plugin sensor sent a batch of 131073 samples and may send 131072") {
		t.Errorf("%v after %d batches", err, got)
	}
}
