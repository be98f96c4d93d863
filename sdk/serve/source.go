package serve

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// sourceServer keeps the calls in order and hands them to the author's source.
type sourceServer struct {
	pb.UnimplementedEnergySourceServiceServer
	source sdk.EnergySource

	mu     sync.Mutex
	opened bool
	closed bool
	cancel context.CancelFunc // ends the stream
}

// Open implements the contract.
func (s *sourceServer) Open(ctx context.Context, request *pb.OpenRequest) (*pb.OpenResponse, error) {
	parameters, err := wire.FromTable(request.GetParameters())
	if err != nil {
		return nil, err
	}
	for _, d := range sdk.CheckTable(s.source.Describe().Parameters, parameters) {
		if d.Severity == sdk.SeverityError {
			return nil, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: d.KeyPath, Phase: "open", Message: d.Message, Advice: d.Advice}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return nil, outOfOrder("open", "the source is open already")
	}
	domains, err := s.source.Open(ctx, sdk.OpenRequest{Parameters: parameters, Secrets: request.GetSecrets()})
	if err != nil {
		return nil, withPhase(err, "open")
	}
	s.opened = true
	response := &pb.OpenResponse{}
	for _, d := range domains {
		response.Domains = append(response.Domains, wire.ToDomain(d))
	}
	return response, nil
}

// Stream implements the contract.
func (s *sourceServer) Stream(_ *pb.StreamRequest, stream grpc.ServerStreamingServer[pb.StreamResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	s.mu.Lock()
	switch {
	case !s.opened || s.closed:
		s.mu.Unlock()
		return outOfOrder("stream", "the source is not open")
	case s.cancel != nil:
		s.mu.Unlock()
		return outOfOrder("stream", "the source is streaming already")
	}
	s.cancel = cancel
	s.mu.Unlock()
	// A source may read several sensors from several goroutines.
	var sending sync.Mutex
	err := s.source.Stream(ctx, func(b sdk.SampleBatch) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(wire.ToBatch(b))
	})
	s.mu.Lock()
	s.cancel = nil
	s.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	return withPhase(err, "stream")
}

// Close implements the contract.
func (s *sourceServer) Close(ctx context.Context, _ *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, withPhase(s.close(ctx), "close")
}

func (s *sourceServer) close(ctx context.Context) error {
	s.mu.Lock()
	if s.cancel != nil {
		s.cancel()
	}
	again := s.closed || !s.opened
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	return safely(func() error { return s.source.Close(ctx) })
}
