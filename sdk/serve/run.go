package serve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// queuedBytes is how much may wait for the host before the backend is held up:
// some ten million token stamps.
const queuedBytes = 256 << 20

// Run implements the contract: it drives the author's Run in a goroutine of
// its own and sends what it records.
func (s *backendServer) Run(request *pb.RunRequest, stream grpc.ServerStreamingServer[pb.RunResponse]) error {
	spec, err := wire.FromRunSpec(request)
	if err != nil {
		return err
	}
	send := func(e sdk.RunEvent) error { return sendSplit(stream.Send, e) }
	finished, err := s.run(stream, spec, send)
	if err != nil {
		return err
	}
	// The host may call again as soon as it has this.
	return send(finished)
}

// run is a Run up to its closing record.
func (s *backendServer) run(stream grpc.ServerStreamingServer[pb.RunResponse], spec sdk.RunSpec, send func(sdk.RunEvent) error) (finished sdk.Finished, err error) {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	work, err := s.claimRun(spec, cancel)
	if err != nil {
		return finished, err
	}
	defer s.release()
	before, err := s.counters(stream.Context())
	if err != nil {
		return finished, err
	}
	events := newQueue(queuedBytes, eventBytes)
	run := sdk.NewRun(spec, work, events.push)
	s.attach(run)
	// A host that is gone already shows in pump.
	unsent := send(sdk.Started{MonoNs: run.BeginNs()})
	done := make(chan error, 1)
	go func() {
		err := safely(func() error { return s.backend.Run(ctx, run) })
		openErr := safely(func() error {
			var err error
			finished, err = run.Finish()
			return err
		})
		if err == nil {
			err = openErr
		}
		done <- err
	}()
	var beat sdk.Heartbeat // the newest
	err, broken := pump(send, events, done, heartbeatPeriod(spec.HeartbeatMs), func() sdk.RunEvent {
		beat = run.Heartbeat()
		return beat
	})
	// One may have been due when the backend had just returned.
	finished.MonoNs = max(finished.MonoNs, beat.MonoNs)
	if broken == nil {
		broken = unsent
	}
	switch {
	case errors.Is(err, sdk.Panicked):
		return finished, withPhase(err, "run")
	case stream.Context().Err() != nil:
		return finished, &sdk.Error{Code: sdk.Cancelled, Phase: "run", Message: "the host cancelled the Run"}
	case broken != nil:
		return finished, broken
	case err != nil && finished.Reason != sdk.FinishAborted:
		return finished, withPhase(err, "run")
	case err != nil:
		// The host asked for the break; what it broke is no failure.
		Logger().Info("the aborted run returned an error", "error", err)
	}
	finished.Before = before
	beat = run.Heartbeat()
	beat.MonoNs = finished.MonoNs
	finished.After, err = s.countersAfter(stream.Context(), send, heartbeatPeriod(spec.HeartbeatMs), beat)
	return finished, err
}

// countersAfter reads the counters of an engine whose work is done. There are engines
// that take seconds for it: the host goes on to hear the last heartbeat.
func (s *backendServer) countersAfter(ctx context.Context, send func(sdk.RunEvent) error, period time.Duration, beat sdk.Heartbeat) (after *sdk.Counters, err error) {
	done := make(chan error, 1)
	go func() {
		done <- safely(func() (err error) {
			after, err = s.counters(ctx)
			return err
		})
	}()
	err, broken := pump(send, newQueue(queuedBytes, eventBytes), done, period, func() sdk.RunEvent { return beat })
	if err == nil {
		err = broken
	}
	return after, err
}

// claimRun reserves the engine for a Run, if this is a moment for one.
func (s *backendServer) claimRun(spec sdk.RunSpec, cancel context.CancelCauseFunc) (*sdk.Work, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	invalid := func(format string, args ...any) error {
		return &sdk.Error{Code: sdk.InvalidRequest, Phase: "run", Message: fmt.Sprintf(format, args...)}
	}
	if err := s.idle("run"); err != nil {
		return nil, err
	}
	work := s.works[spec.WorkID]
	switch {
	case work == nil:
		return nil, invalid("there is no work %q; Prepare comes first", spec.WorkID)
	case int(spec.First) >= len(work.Items):
		return nil, invalid("first = %d is beyond the %d requests of %s", spec.First, len(work.Items), spec.WorkID)
	case spec.Loop == sdk.LoopBatch && spec.RequestsPerPass == 0:
		return nil, invalid("a batch loop needs requests_per_pass")
	case spec.Loop == sdk.LoopClosed && spec.Concurrency == 0:
		return nil, invalid("a closed loop needs concurrency")
	}
	s.active = &activity{call: "run", cancel: cancel, over: make(chan struct{})}
	return work, nil
}

// attach makes the Run reachable for Stop, and passes on a Stop that came
// while the counters were read.
func (s *backendServer) attach(run *sdk.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active.run = run
	if s.active.stop != sdk.StopNone {
		run.RequestStop(s.active.stop)
	}
}

// Stop implements the contract.
func (s *backendServer) Stop(_ context.Context, request *pb.StopRequest) (*pb.StopResponse, error) {
	kind, err := wire.FromStopKind(request.GetKind())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	active := s.active
	if active == nil || active.call != "run" {
		s.mu.Unlock()
		return &pb.StopResponse{}, nil
	}
	// An abort is not taken back by a milder Stop that comes after it.
	if active.stop != sdk.StopAbort {
		active.stop = kind
	}
	kind, run := active.stop, active.run
	s.mu.Unlock()
	// Outside the lock: a Run that is held up by a slow host answers late. The
	// stop is asked for before the context ends, so that the Run's reason is
	// settled when its backend returns.
	if run != nil {
		run.RequestStop(kind)
	}
	if kind == sdk.StopAbort {
		active.cancel(sdk.ErrAborted)
	}
	return &pb.StopResponse{WasRunning: true}, nil
}

// eventBytes estimates what an event takes in memory.
func eventBytes(e sdk.RunEvent) int {
	const fixed = 160 // a completion without chunks, and about a pass record
	switch x := e.(type) {
	case sdk.Completions:
		total := 0
		for _, c := range x {
			total += fixed + len(c.Error) + 16*len(c.Chunks)
		}
		return total
	case sdk.Steps:
		return 16 * len(x)
	}
	return fixed
}

// sendSplit sends an event in messages below the contract's limit. A single
// completion above it is refused: there is no half of one.
func sendSplit(send func(*pb.RunResponse) error, e sdk.RunEvent) error {
	message := wire.ToRunEvent(e)
	size := proto.Size(message)
	if size <= transport.MostMessageBytes {
		return send(message)
	}
	switch x := e.(type) {
	case sdk.Completions:
		if len(x) > 1 {
			return sendHalves(send, x[:len(x)/2], x[len(x)/2:])
		}
	case sdk.Steps:
		if len(x) > 1 {
			return sendHalves(send, x[:len(x)/2], x[len(x)/2:])
		}
	}
	return &sdk.Error{
		Code: sdk.Internal, Phase: "run",
		Message: fmt.Sprintf("one record takes %d bytes and a message may have %d", size, transport.MostMessageBytes),
		Advice:  `record "chunk" or "request" instead of "token", or shorten the texts of errors`,
	}
}

func sendHalves(send func(*pb.RunResponse) error, first, second sdk.RunEvent) error {
	if err := sendSplit(send, first); err != nil {
		return err
	}
	return sendSplit(send, second)
}
