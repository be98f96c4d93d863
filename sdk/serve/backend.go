package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
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
// backend.
type backendServer struct {
	pb.UnimplementedBackendServiceServer
	backend sdk.Backend

	mu     sync.Mutex
	phase  phase
	works  map[string]*sdk.Work
	run    *sdk.Run                // the Run in progress, or nil
	cancel context.CancelCauseFunc // ends its context
	over   chan struct{}           // closed when it has returned
}

func outOfOrder(call, why string) error {
	return &sdk.Error{Code: sdk.CallOrder, Phase: call, Message: why}
}

// Load implements the contract.
func (s *backendServer) Load(request *pb.LoadRequest, stream grpc.ServerStreamingServer[pb.LoadResponse]) error {
	cell, err := wire.FromCell(request.GetCell())
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.phase != fresh {
		s.mu.Unlock()
		return outOfOrder("load", "this process has been used for a load already; each load has a process of its own")
	}
	s.phase = loading
	s.mu.Unlock()

	events := make(chan *pb.LoadResponse, 64)
	progress := sdk.NewProgress(func(e sdk.StageEvent) {
		// Progress is a courtesy: where the host is slow it is thinned out.
		select {
		case events <- &pb.LoadResponse{Event: &pb.LoadResponse_Stage{Stage: wire.ToStage(e)}}:
		default:
		}
	})
	var report sdk.LoadReport
	done := make(chan error, 1)
	go func() {
		done <- safely(func() error {
			var err error
			report, err = s.backend.Load(stream.Context(), sdk.LoadRequest{
				Cell: cell, DeviceIDs: request.GetDeviceIds(), WorkDir: request.GetWorkDir(),
				CacheDir: request.GetCacheDir(), Secrets: request.GetSecrets(),
			}, progress)
			return err
		})
	}()
	err = pump(stream.Send, events, done, heartbeatPeriod(request.GetHeartbeatMs()), func() *pb.LoadResponse {
		return &pb.LoadResponse{Event: &pb.LoadResponse_Heartbeat{Heartbeat: &pb.LoadHeartbeat{MonoNs: sdk.MonoNow()}}}
	})
	s.mu.Lock()
	// After a failed load only Unload makes sense, and it must be possible.
	s.phase = loaded
	if err != nil {
		s.phase = failed
	}
	s.mu.Unlock()
	if err != nil {
		return withPhase(err, "load")
	}
	answer, err := wire.ToReport(report)
	if err != nil {
		return fmt.Errorf("the load report: %w", err)
	}
	return stream.Send(&pb.LoadResponse{Event: &pb.LoadResponse_Report{Report: answer}})
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

// pump sends events and heartbeats until done, and then what is left of the
// events. If the host is gone it goes on without sending, until done.
func pump[M any](send func(M) error, events <-chan M, done <-chan error, period time.Duration, beat func() M) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	broken := false
	deliver := func(m M) {
		if !broken {
			broken = send(m) != nil
		}
	}
	for {
		select {
		case e := <-events:
			deliver(e)
		case <-ticker.C:
			deliver(beat())
		case err := <-done:
			for {
				select {
				case e := <-events:
					deliver(e)
					continue
				default:
				}
				return err
			}
		}
	}
}

// Tokenize implements the contract.
func (s *backendServer) Tokenize(stream grpc.BidiStreamingServer[pb.TokenizeRequest, pb.TokenizeResponse]) error {
	tokenizer, ok := s.backend.(sdk.Tokenizer)
	if !ok {
		return &sdk.Error{Code: sdk.UnsupportedFeature, Phase: "tokenize", Message: "this backend has no tokeniser"}
	}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.mustBe("tokenize", loaded); err != nil {
			return err
		}
		sequences, err := tokenizer.Tokenize(stream.Context(), request.GetTexts())
		if err != nil {
			return withPhase(err, "tokenize")
		}
		response := &pb.TokenizeResponse{}
		for _, ids := range sequences {
			response.Sequences = append(response.Sequences, &pb.TokenIds{Ids: ids})
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

func (s *backendServer) mustBe(call string, want phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == want:
		return nil
	case s.phase == unloaded:
		return outOfOrder(call, "the engine is unloaded")
	}
	return outOfOrder(call, "no engine is loaded; Load comes first")
}

// Prepare implements the contract.
func (s *backendServer) Prepare(stream grpc.ClientStreamingServer[pb.PrepareRequest, pb.PrepareResponse]) error {
	if err := s.mustBe("prepare", loaded); err != nil {
		return err
	}
	var work *sdk.Work
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if work == nil {
			if request.GetHeader() == nil {
				return &sdk.Error{Code: sdk.InvalidRequest, Phase: "prepare", Message: "the first message has no header"}
			}
			work = wire.FromWorkHeader(request.GetHeader())
		}
		for _, item := range request.GetItems() {
			work.Items = append(work.Items, wire.FromWorkItem(item))
		}
	}
	if work == nil || len(work.Items) == 0 {
		return &sdk.Error{Code: sdk.InvalidRequest, Phase: "prepare", Message: "no request was sent"}
	}
	s.mu.Lock()
	if s.works == nil {
		s.works = map[string]*sdk.Work{}
	}
	work.ID = fmt.Sprintf("work-%d", len(s.works)+1)
	s.works[work.ID] = work
	s.mu.Unlock()
	if preparer, ok := s.backend.(sdk.Preparer); ok {
		if err := preparer.Prepare(stream.Context(), work); err != nil {
			return withPhase(err, "prepare")
		}
	}
	sum := sdk.TokenHash(work.Items)
	return stream.SendAndClose(&pb.PrepareResponse{WorkId: work.ID, Count: uint32(len(work.Items)), TokenHash: sum[:]})
}

// Stop implements the contract.
func (s *backendServer) Stop(_ context.Context, request *pb.StopRequest) (*pb.StopResponse, error) {
	kind, err := wire.FromStopKind(request.GetKind())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return &pb.StopResponse{}, nil
	}
	s.run.RequestStop(kind)
	if kind == sdk.StopAbort {
		s.cancel(sdk.ErrAborted)
	}
	return &pb.StopResponse{WasRunning: true}, nil
}

// Counters implements the contract.
func (s *backendServer) Counters(ctx context.Context, _ *pb.CountersRequest) (*pb.CountersResponse, error) {
	if err := s.mustBe("counters", loaded); err != nil {
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

// unload ends a Run that still goes on, frees the engine, and does nothing the
// second time.
func (s *backendServer) unload(ctx context.Context) error {
	s.mu.Lock()
	if s.phase == unloaded {
		s.mu.Unlock()
		return nil
	}
	over := s.over
	if s.cancel != nil {
		s.cancel(sdk.ErrAborted)
	}
	s.mu.Unlock()
	if over != nil {
		select {
		case <-over:
		case <-ctx.Done():
			return &sdk.Error{Code: sdk.Timeout, Phase: "unload", Message: "the Run in progress did not end"}
		}
	}
	s.mu.Lock()
	again := s.phase == unloaded || s.phase == fresh
	s.phase = unloaded
	s.mu.Unlock()
	if again {
		return nil
	}
	return safely(func() error { return s.backend.Unload(ctx) })
}
