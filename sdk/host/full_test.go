package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// fullEngine has every method that a backend can have.
type fullEngine struct {
	engine
	tokens   atomic.Int64
	prepared *sdk.Work
}

func (e *fullEngine) Check(_ context.Context, cells []sdk.Cell, _ sdk.Depth) ([]sdk.CellCheck, error) {
	checks := make([]sdk.CellCheck, len(cells))
	for i, c := range cells {
		if c.Workload.MaxInputTokens > 100 {
			checks[i].Diagnostics = []sdk.Diagnostic{{Severity: sdk.SeverityError, KeyPath: "workload.input_tokens", Message: "too long"}}
		}
	}
	return checks, nil
}

func (e *fullEngine) Tokenize(_ context.Context, texts []string) ([][]uint32, error) {
	var all [][]uint32
	for _, text := range texts {
		var ids []uint32
		for _, b := range []byte(text) {
			ids = append(ids, uint32(b))
		}
		all = append(all, ids)
	}
	return all, nil
}

func (e *fullEngine) Prepare(_ context.Context, work *sdk.Work) error {
	if work.Items[0].TokenIDs[0] == 666 {
		panic("boom in Prepare")
	}
	e.prepared = work
	return nil
}

func (e *fullEngine) Counters(context.Context) (sdk.Counters, error) {
	tokens := e.tokens.Load()
	return sdk.Counters{OutputTokens: &tokens, Named: []sdk.NamedMetric{{Name: "clock", Unit: "MHz", Value: 1.5}}}, nil
}

func (e *fullEngine) Run(ctx context.Context, run *sdk.Run) error {
	if e.prepared != run.Work() {
		return errors.New("this work was not the one prepared")
	}
	late := int64(7)
	run.SetClient(sdk.ClientHealth{LatenessP99Ns: &late, StampSource: sdk.StampUser})
	run.Warn(sdk.Warning{Code: "client_limited", Message: "too slow\xff", KeyPath: "load.rate"})
	for pass := range run.Passes(ctx) {
		for i, item := range pass.Items {
			e.generate(ctx, run, pass.First+uint32(i), item, i)
			e.tokens.Add(int64(item.MaxTokens))
		}
	}
	return nil
}

func TestAFullBackend(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "full")
	if got := p.Description().Features; !slices.Equal(got, []string{"pass_gaps", "check", "tokenize", "counters"}) {
		t.Errorf("features are %v", got)
	}
	long := cell
	long.ID, long.Workload.MaxInputTokens = "long", 1000
	checks, err := p.Check(t.Context(), []sdk.Cell{cell, long}, sdk.DepthStatic)
	if err != nil || checks[0].Refused() || !checks[1].Refused() || checks[1].CellID != "long" {
		t.Errorf("checks are %+v, %v", checks, err)
	}
	// What its Check leaves out comes from Describe.
	if len(checks[0].Loops) != 2 || checks[0].MaxCancelMs != 500 || checks[0].Edge != sdk.EdgeNone {
		t.Errorf("abilities are %+v", checks[0].Abilities)
	}
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
	// More text than one message holds.
	texts := make([]string, 40)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i%26)), 20_000)
	}
	sequences, err := p.Tokenize(t.Context(), texts)
	if err != nil || len(sequences) != 40 || len(sequences[39]) != 20_000 || sequences[39][0] != 'a'+13 {
		t.Fatalf("tokenize: %d sequences, %v", len(sequences), err)
	}
	if _, err := p.Tokenize(t.Context(), []string{strings.Repeat("x", mostTextBytes+1)}); !errors.Is(err, sdk.InvalidRequest) {
		t.Errorf("a text above the limit gives %v", err)
	}
	bad := &sdk.Work{Items: []sdk.WorkItem{{TokenIDs: []uint32{666}, MaxTokens: 1}}}
	if _, err := p.Prepare(t.Context(), bad); !errors.Is(err, sdk.Panicked) {
		t.Errorf("a panic in Prepare gives %v", err)
	}
	prepared, err := p.Prepare(t.Context(), work(4))
	if err != nil {
		t.Fatal(err)
	}
	finished, err := p.Run(t.Context(), sdk.RunSpec{WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordToken},
		func(sdk.RunEvent) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if *finished.Before.OutputTokens != 0 || *finished.After.OutputTokens != 16 || finished.After.EngineSteps != nil || finished.After.Named[0].Value != 1.5 {
		t.Errorf("counters are %+v, %+v", finished.Before, finished.After)
	}
	if w := finished.Warnings; len(w) != 1 || w[0] != (sdk.Warning{Code: "client_limited", Message: "too slow\uFFFD", KeyPath: "load.rate"}) {
		t.Errorf("warnings are %+v", w)
	}
	if c := finished.Client; c == nil || c.LatenessP99Ns == nil || *c.LatenessP99Ns != 7 || c.StampSource != sdk.StampUser || c.DelayP99Ns != nil || c.CPUShare != nil {
		t.Errorf("the client's health is %+v", c)
	}
	counters, err := p.Counters(t.Context())
	if err != nil || *counters.OutputTokens != 16 || counters.MonoNs == 0 {
		t.Errorf("counters are %+v, %v", counters, err)
	}
}

func TestCallsOutOfOrderAreRefused(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "busy")
	spec := sdk.RunSpec{WorkID: "work-1", Loop: sdk.LoopClosed, Concurrency: 1, Record: sdk.RecordRequest}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, sdk.CallOrder) {
			t.Errorf("%s gives %v", what, err)
		}
	}
	prepare := func() error { _, err := p.Prepare(t.Context(), work(2)); return err }
	load := func() error {
		_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil)
		return err
	}
	refused("prepare before load", prepare())
	if was, err := p.Stop(t.Context(), sdk.StopDrain); was || err != nil {
		t.Errorf("stop without a Run: %v, %v", was, err)
	}
	if err := load(); err != nil {
		t.Fatal(err)
	}
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := p.Run(t.Context(), spec, func(e sdk.RunEvent) error {
			if _, ok := e.(sdk.Started); ok {
				close(started)
			}
			return nil
		})
		ended <- err
	}()
	<-started
	_, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil })
	refused("a second Run", err)
	refused("prepare during a Run", prepare())
	// Unload breaks a Run off and waits for its end.
	begin := time.Now()
	if err := p.Unload(t.Context()); err != nil {
		t.Errorf("unload during a Run: %v", err)
	}
	if took := time.Since(begin); took < 250*time.Millisecond {
		t.Errorf("unload did not wait for the Run: %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("the Run that was broken off ended well")
	}
	refused("prepare after unload", prepare())
	refused("load after unload", load())
	if err := p.Unload(t.Context()); err != nil {
		t.Errorf("a second unload: %v", err)
	}
}

func TestALoadIsJudgedByItsHeartbeats(t *testing.T) {
	t.Parallel()
	t.Run("unload ends it", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, "load-wedge")
		stage, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, func(s sdk.StageEvent) {
				if s.Moment == sdk.StageBegin {
					close(stage)
				}
			})
			ended <- err
		}()
		<-stage
		if err := p.Unload(t.Context()); err != nil {
			t.Errorf("unload: %v", err)
		}
		if err := <-ended; !errors.Is(err, sdk.Cancelled) {
			t.Errorf("the load gives %v", err)
		}
	})
	t.Run("cancel comes back at once", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, "load-wedge")
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled time.Time
		_, err := p.Load(ctx, sdk.LoadRequest{Cell: cell}, func(sdk.StageEvent) {
			if cancelled.IsZero() {
				cancelled = time.Now()
				cancel()
			}
		})
		if took := time.Since(cancelled); took > 200*time.Millisecond || !errors.Is(err, context.Canceled) {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("silence is noticed", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, "load-stop")
		begin := time.Now()
		_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil)
		var lost *LostError
		if !errors.As(err, &lost) || lost.Phase != "load" || time.Since(begin) > 8*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	t.Run("a panic is an error", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, "load-panic")
		_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil)
		if !errors.Is(err, sdk.Panicked) || !strings.Contains(err.Error(), "load: panic: boom in Load") {
			t.Errorf("got %v", err)
		}
		refusedErr := fmt.Sprint(second(p.Prepare(t.Context(), work(1))))
		if !strings.Contains(refusedErr, "only Unload is left") {
			t.Errorf("prepare after it gives %v", refusedErr)
		}
		if err := p.Unload(t.Context()); err != nil {
			t.Errorf("unload after it: %v", err)
		}
	})
	t.Run("begin and end are never thinned out", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, "chatty")
		var last sdk.StageEvent
		var begins, reports int
		_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, func(s sdk.StageEvent) {
			last = s
			switch s.Moment {
			case sdk.StageBegin:
				begins++
			case sdk.StageProgress:
				reports++
			}
		})
		if err != nil || begins != 1 || last.Moment != sdk.StageEnd || reports == 0 || reports > 1000 {
			t.Errorf("%d begins, %d reports, last %+v, %v", begins, reports, last, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestTheLoadsContextOutlivesTheLoad(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "load-ctx", 2)
	if _, err := p.Run(t.Context(), spec, func(sdk.RunEvent) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestParametersThatTheSchemaRefusesDoNotReachTheBackend(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "")
	bad := cell
	bad.Parameters = sdk.Table{"big": "text"}
	_, err := p.Load(t.Context(), sdk.LoadRequest{Cell: bad}, nil)
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.UnsupportedParameter || e.KeyPath != "big" {
		t.Errorf("got %v", err)
	}
	open := cell
	open.Load.Loop = sdk.LoopOpen
	checks, err := p.Check(t.Context(), []sdk.Cell{open}, sdk.DepthStatic)
	if err != nil || !checks[0].Refused() || checks[0].Diagnostics[0].KeyPath != "load.mode" {
		t.Errorf("a loop that it does not have gives %+v, %v", checks, err)
	}
}

func TestManyCellsGoInSeveralCalls(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "")
	cells := make([]sdk.Cell, 3000)
	for i := range cells {
		cells[i] = cell
		cells[i].ID = fmt.Sprintf("cell-%04d-%s", i, strings.Repeat("x", 500))
	}
	checks, err := p.Check(t.Context(), cells, sdk.DepthStatic)
	if err != nil || len(checks) != 3000 || checks[2999].CellID != cells[2999].ID {
		t.Errorf("%d checks, %v", len(checks), err)
	}
}

func TestAFailedRequestsTextMayBeAnything(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "dirty-text", 2)
	var text string
	_, err := p.Run(t.Context(), spec, func(e sdk.RunEvent) error {
		if c, ok := e.(sdk.Completions); ok {
			text = c[0].Error
		}
		return nil
	})
	if err != nil || text != "bad byte \uFFFD" {
		t.Errorf("got %q, %v", text, err)
	}
}
