package serve

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// sourceServer keeps the calls in order and hands them to the author's source.
type sourceServer struct {
	pb.UnimplementedEnergySourceServiceServer
	source      sdk.EnergySource
	description func() sdk.Description

	mu      sync.Mutex
	opening bool // Open was called, and has not failed
	opened  bool
	closed  bool
	cancel  context.CancelFunc // ends the stream
	over    chan struct{}      // closed when the author's Stream has returned
}

// Open implements the contract.
func (s *sourceServer) Open(ctx context.Context, request *pb.OpenRequest) (*pb.OpenResponse, error) {
	parameters, err := wire.FromTable(request.GetParameters())
	if err != nil {
		return nil, err
	}
	if err := fitsSchema("open", s.description().Parameters, parameters, request.GetSecrets()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	busy := s.opening
	s.opening = true
	s.mu.Unlock()
	if busy {
		return nil, outOfOrder("open", "the source is open already")
	}
	response := &pb.OpenResponse{}
	err = safely(func() error {
		domains, err := s.source.Open(ctx, sdk.OpenRequest{Parameters: parameters, Secrets: request.GetSecrets()})
		if err != nil {
			return err
		}
		for _, d := range domains {
			response.Domains = append(response.Domains, wire.ToDomain(d))
		}
		if warner, ok := s.source.(sdk.OpenWarner); ok {
			response.Warnings = wire.ToWarnings(warner.OpenWarnings())
		}
		return nil
	})
	s.mu.Lock()
	// A failed Open may be tried again, with other parameters.
	s.opening, s.opened = err == nil, err == nil
	s.mu.Unlock()
	if err != nil {
		return nil, withPhase(err, "open")
	}
	return response, nil
}

// Stream implements the contract.
func (s *sourceServer) Stream(_ *pb.StreamRequest, stream grpc.ServerStreamingServer[pb.StreamResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	over, err := s.claimStream(cancel)
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		s.cancel, s.over = nil, nil
		s.mu.Unlock()
		close(over)
	}()
	// A source may read several sensors from several goroutines.
	var sending sync.Mutex
	err = s.source.Stream(ctx, func(b sdk.SampleBatch) error {
		message := wire.ToBatch(b)
		if size := proto.Size(message); size > transport.MostMessageBytes {
			return &sdk.Error{
				Code: sdk.Internal, Phase: "stream",
				Message: fmt.Sprintf("a batch of %d samples takes %d bytes and a message may have %d", len(b.MonoNs), size, transport.MostMessageBytes),
				Advice:  "the source must emit smaller batches",
			}
		}
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(message)
	})
	if ctx.Err() != nil {
		return nil
	}
	return withPhase(err, "stream")
}

func (s *sourceServer) claimStream(cancel context.CancelFunc) (over chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, outOfOrder("stream", "the source is closed")
	case !s.opened:
		return nil, outOfOrder("stream", "the source is not open")
	case s.cancel != nil:
		return nil, outOfOrder("stream", "the source is streaming already")
	}
	s.cancel, s.over = cancel, make(chan struct{})
	return s.over, nil
}

// Close implements the contract.
func (s *sourceServer) Close(ctx context.Context, _ *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, withPhase(s.close(ctx), "close")
}

// close ends the stream, frees the sensors, and does nothing the second time.
func (s *sourceServer) close(ctx context.Context) error {
	s.mu.Lock()
	again := s.closed || !s.opened
	s.closed = true
	cancel, over := s.cancel, s.over
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		select {
		case <-over:
		case <-ctx.Done():
			return &sdk.Error{Code: sdk.Timeout, Phase: "close", Message: "the stream in progress did not end"}
		}
	}
	if again {
		return nil
	}
	return safely(func() error { return s.source.Close(ctx) })
}
