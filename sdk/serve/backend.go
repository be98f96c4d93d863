package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// phase of a backend's life.
type phase int

const (
	fresh phase = iota
	loading
	loaded
	failed // the load failed: only Unload is left
	unloaded
)

// backendServer keeps the calls in order and hands them to the author's
// backend. This file holds Load, Unload and the order; prepare.go and run.go
// the rest.
type backendServer struct {
	pb.UnimplementedBackendServiceServer
	backend     sdk.Backend
	description func() sdk.Description

	mu     sync.Mutex
	phase  phase
	active *activity // the Load or Run in progress, or nil
	works  map[string]*sdk.Work
	held   int64 // token ids in works
	engine context.CancelCauseFunc
}

// activity is a Load or a Run in progress.
type activity struct {
	call   string
	cancel context.CancelCauseFunc // ends the author's context
	over   chan struct{}           // closed when the author's method has returned
	run    *sdk.Run                // nil for a Load, and until a Run is attached
	stop   sdk.StopKind            // asked for so far
}

func outOfOrder(call, why string) error {
	return &sdk.Error{Code: sdk.CallOrder, Phase: call, Message: why}
}

// mustBeLoaded refuses a call that needs a loaded engine. s.mu is held.
func (s *backendServer) mustBeLoaded(call string) error {
	switch s.phase {
	case loaded:
		return nil
	case unloaded:
		return outOfOrder(call, "the engine is unloaded")
	case failed:
		return outOfOrder(call, "the load failed; only Unload is left")
	}
	return outOfOrder(call, "no engine is loaded; Load comes first")
}

// idle refuses a call that needs a loaded engine without a Run. s.mu is held.
func (s *backendServer) idle(call string) error {
	if err := s.mustBeLoaded(call); err != nil {
		return err
	}
	if s.active != nil {
		return outOfOrder(call, "a Run is in progress")
	}
	return nil
}

// ready is mustBeLoaded for callers without the lock.
func (s *backendServer) ready(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mustBeLoaded(call)
}

// release ends the activity in progress.
func (s *backendServer) release() {
	s.mu.Lock()
	active := s.active
	s.active = nil
	s.mu.Unlock()
	close(active.over)
}

// Progress is a courtesy: this many messages wait for the host, then its
// reports are thinned out. The begin and end of a stage are always kept.
const queuedProgress = 64

// Load implements the contract.
func (s *backendServer) Load(request *pb.LoadRequest, stream grpc.ServerStreamingServer[pb.LoadResponse]) error {
	cell, err := wire.FromCell(request.GetCell())
	if err != nil {
		return err
	}
	if err := fitsSchema("load", s.description().Parameters, cell.Parameters, request.GetSecrets()); err != nil {
		return err
	}
	// The call's own context ends with the call; an engine process that hangs
	// on this one must live until Unload.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stream.Context()))
	if err := s.claimLoad(cancel); err != nil {
		cancel(nil)
		return err
	}
	stopWatching := context.AfterFunc(stream.Context(), func() { cancel(context.Cause(stream.Context())) })

	events := newQueue(queuedBytes, func(m *pb.LoadResponse) int { return 64 + len(m.GetStage().GetMessage()) })
	progress := sdk.NewProgress(func(e sdk.StageEvent) {
		if e.Moment == sdk.StageProgress && events.waiting() >= queuedProgress {
			return
		}
		events.push(&pb.LoadResponse{Event: &pb.LoadResponse_Stage{Stage: wire.ToStage(e)}})
	})
	var report sdk.LoadReport
	done := make(chan error, 1)
	go func() {
		done <- safely(func() error {
			var err error
			report, err = s.backend.Load(ctx, sdk.LoadRequest{
				Cell: cell, DeviceIDs: request.GetDeviceIds(), WorkDir: request.GetWorkDir(),
				CacheDir: request.GetCacheDir(), Secrets: request.GetSecrets(),
			}, progress)
			return err
		})
	}()
	err, broken := pump(stream.Send, events, done, heartbeatPeriod(request.GetHeartbeatMs()), func() *pb.LoadResponse {
		return &pb.LoadResponse{Event: &pb.LoadResponse_Heartbeat{Heartbeat: &pb.LoadHeartbeat{MonoNs: sdk.MonoNow()}}}
	})
	stopWatching()
	if err == nil && broken != nil {
		err = broken
	}
	var answer *pb.LoadReport
	if err == nil {
		if answer, err = wire.ToReport(report); err != nil {
			err = fmt.Errorf("the load report: %w", err)
		}
	}
	s.mu.Lock()
	// After a failed load only Unload makes sense, and it must be possible.
	s.phase = loaded
	if err != nil {
		s.phase = failed
	}
	s.mu.Unlock()
	s.release()
	if err != nil {
		return withPhase(err, "load")
	}
	return stream.Send(&pb.LoadResponse{Event: &pb.LoadResponse_Report{Report: answer}})
}

func (s *backendServer) claimLoad(cancel context.CancelCauseFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != fresh {
		return outOfOrder("load", "this process has been used for a load already; each load has a process of its own")
	}
	s.phase, s.engine = loading, cancel
	s.active = &activity{call: "load", cancel: cancel, over: make(chan struct{})}
	return nil
}

// fitsSchema refuses parameters that the author's schema does not admit: the
// author's code relies on their types. Secrets come apart from the table.
func fitsSchema(call string, schema []sdk.Parameter, table sdk.Table, secrets map[string]string) error {
	given := sdk.Table{}
	for key := range secrets {
		given[key] = sdk.Table{"env": key}
	}
	for key, value := range table {
		given[key] = value
	}
	for _, d := range sdk.CheckTable(schema, given) {
		if d.Severity == sdk.SeverityError {
			return &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: d.KeyPath, Phase: call, Message: d.Message, Advice: d.Advice}
		}
	}
	return nil
}

// withPhase names what was being done, where the author did not.
func withPhase(err error, phase string) error {
	var e *sdk.Error
	if errors.As(err, &e) && e.Phase == "" {
		e.Phase = phase
	}
	return err
}

const defaultHeartbeat = time.Second

func heartbeatPeriod(ms uint32) time.Duration {
	if ms == 0 {
		return defaultHeartbeat
	}
	return time.Duration(ms) * time.Millisecond
}

// Counters implements the contract.
func (s *backendServer) Counters(ctx context.Context, _ *pb.CountersRequest) (*pb.CountersResponse, error) {
	if err := s.ready("counters"); err != nil {
		return nil, err
	}
	counters, err := s.counters(ctx)
	return &pb.CountersResponse{Counters: wire.ToCounters(counters)}, err
}

// counters reads the author's counters; nil if there are none.
func (s *backendServer) counters(ctx context.Context) (*sdk.Counters, error) {
	counting, ok := s.backend.(sdk.Counting)
	if !ok {
		return nil, nil
	}
	counters, err := counting.Counters(ctx)
	if err != nil {
		return nil, withPhase(err, "counters")
	}
	if counters.MonoNs == 0 {
		counters.MonoNs = sdk.MonoNow()
	}
	return &counters, nil
}

// Unload implements the contract.
func (s *backendServer) Unload(ctx context.Context, request *pb.UnloadRequest) (*pb.UnloadResponse, error) {
	if ms := request.GetDeadlineMs(); ms > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	return &pb.UnloadResponse{}, withPhase(s.unload(ctx), "unload")
}

// unload ends a Load or Run that still goes on, frees the engine, and does
// nothing the second time.
func (s *backendServer) unload(ctx context.Context) error {
	s.mu.Lock()
	active := s.active
	s.mu.Unlock()
	if active != nil {
		active.cancel(sdk.ErrAborted)
		select {
		case <-active.over:
		case <-ctx.Done():
			return &sdk.Error{Code: sdk.Timeout, Phase: "unload", Message: fmt.Sprintf("the %s in progress did not end", active.call)}
		}
	}
	s.mu.Lock()
	nothing := s.phase == unloaded || s.phase == fresh
	s.phase = unloaded
	engine := s.engine
	s.mu.Unlock()
	if nothing {
		return nil
	}
	defer engine(nil)
	return safely(func() error { return s.backend.Unload(ctx) })
}
