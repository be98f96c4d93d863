package serve_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// slowCounter is a backend whose counters take longer after a Run than a host waits
// for one that says nothing.
type slowCounter struct {
	engine
	ran bool
}

func (s *slowCounter) Run(ctx context.Context, run *sdk.Run) error {
	s.ran = true
	return s.engine.Run(ctx, run)
}

func (s *slowCounter) Counters(context.Context) (sdk.Counters, error) {
	steps := int64(0)
	if s.ran {
		time.Sleep(3 * time.Second) // the work itself
		steps = 1
	}
	return sdk.Counters{EngineSteps: &steps}, nil
}

func TestCountersMayTakeTheirTime(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := host.Start(t.Context(), host.Command{Path: path, Env: []string{"TEST_AS_PLUGIN=slow counters"}}, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: sdk.Cell{ID: "c", Parameters: sdk.Table{"token_us": int64(100)}, Load: sdk.LoadShape{Loop: sdk.LoopBatch}}}, nil); err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(t.Context(), &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{1}, MaxTokens: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	finished, err := p.Run(t.Context(), sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 1, Record: sdk.RecordRequest, MaxPasses: 1, HeartbeatMs: 100,
	}, func(sdk.RunEvent) error { return nil })
	if err != nil || *finished.Before.EngineSteps != 0 || *finished.After.EngineSteps != 1 {
		t.Fatalf("%+v, error %v", finished, err)
	}
	// The Run ended with its work, not with the counters.
	if since := sdk.MonoNow() - finished.MonoNs; since < int64(3*time.Second) {
		t.Errorf("it ended %v ago", time.Duration(since))
	}
}
