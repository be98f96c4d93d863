package serve

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// queuedEvents is how many events may wait for the host before the backend is
// held up. At 256 completions an event that is some two million requests.
const queuedEvents = 8192

// Run implements the contract: it drives the author's Run in a goroutine of
// its own and sends what it records.
func (s *backendServer) Run(request *pb.RunRequest, stream grpc.ServerStreamingServer[pb.RunResponse]) error {
	spec, err := wire.FromRunSpec(request)
	if err != nil {
		return err
	}
	before, err := s.counters(stream.Context())
	if err != nil {
		return err
	}
	events := make(chan sdk.RunEvent, queuedEvents)
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	run, over, err := s.begin(spec, cancel, func(e sdk.RunEvent) { events <- e })
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		s.run, s.cancel, s.over = nil, nil, nil
		s.mu.Unlock()
		close(over)
	}()
	send := func(e sdk.RunEvent) error { return sendSplit(stream, e) }
	if err := send(sdk.Started{MonoNs: run.BeginNs()}); err != nil {
		return err
	}
	var finished sdk.Finished
	done := make(chan error, 1)
	go func() {
		err := safely(func() error { return s.backend.Run(ctx, run) })
		var openErr error
		finished, openErr = run.Finish()
		if err == nil {
			err = openErr
		}
		done <- err
	}()
	err = pump(send, events, done, heartbeatPeriod(spec.HeartbeatMs), func() sdk.RunEvent { return run.Heartbeat() })
	switch {
	case stream.Context().Err() != nil:
		return &sdk.Error{Code: sdk.Cancelled, Phase: "run", Message: "the host cancelled the Run"}
	case err != nil && finished.Reason != sdk.FinishAborted:
		return withPhase(err, "run")
	}
	finished.Before = before
	if finished.After, err = s.counters(stream.Context()); err != nil {
		return err
	}
	return send(finished)
}

// begin makes the Run, if this is a moment for one.
func (s *backendServer) begin(spec sdk.RunSpec, cancel context.CancelCauseFunc, emit func(sdk.RunEvent)) (*sdk.Run, chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	invalid := func(format string, args ...any) error {
		return &sdk.Error{Code: sdk.InvalidRequest, Phase: "run", Message: fmt.Sprintf(format, args...)}
	}
	work := s.works[spec.WorkID]
	switch {
	case s.phase == unloaded:
		return nil, nil, outOfOrder("run", "the engine is unloaded")
	case s.phase != loaded:
		return nil, nil, outOfOrder("run", "no engine is loaded; Load comes first")
	case s.run != nil:
		return nil, nil, outOfOrder("run", "a Run is in progress")
	case work == nil:
		return nil, nil, invalid("there is no work %q; Prepare comes first", spec.WorkID)
	case int(spec.First) >= len(work.Items):
		return nil, nil, invalid("first = %d is beyond the %d requests of %s", spec.First, len(work.Items), spec.WorkID)
	case spec.Loop == sdk.LoopBatch && spec.RequestsPerPass == 0:
		return nil, nil, invalid("a batch loop needs requests_per_pass")
	case spec.Loop == sdk.LoopClosed && spec.Concurrency == 0:
		return nil, nil, invalid("a closed loop needs concurrency")
	}
	s.run, s.cancel, s.over = sdk.NewRun(spec, work, emit), cancel, make(chan struct{})
	return s.run, s.over, nil
}

// sendSplit sends an event in messages below the contract's limit.
func sendSplit(stream grpc.ServerStreamingServer[pb.RunResponse], e sdk.RunEvent) error {
	message := wire.ToRunEvent(e)
	if completions, ok := e.(sdk.Completions); ok && len(completions) > 1 && proto.Size(message) > transport.MostMessageBytes {
		half := len(completions) / 2
		if err := sendSplit(stream, completions[:half]); err != nil {
			return err
		}
		return sendSplit(stream, completions[half:])
	}
	return stream.Send(message)
}
