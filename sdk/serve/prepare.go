package serve

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// mostHeldIDs bounds the token ids of all works of one process: 1 GiB.
const mostHeldIDs = 1 << 28

// Prepare implements the contract.
func (s *backendServer) Prepare(stream grpc.ClientStreamingServer[pb.PrepareRequest, pb.PrepareResponse]) error {
	s.mu.Lock()
	// Not during a Run: taking over prompts would disturb the measurement.
	err := s.idle("prepare")
	room := mostHeldIDs - s.held
	s.mu.Unlock()
	if err != nil {
		return err
	}
	work, size, err := receiveWork(stream, room)
	if err != nil {
		return err
	}
	s.mu.Lock()
	work.ID = fmt.Sprintf("work-%d", len(s.works)+1)
	s.mu.Unlock()
	if preparer, ok := s.backend.(sdk.Preparer); ok {
		if err := preparer.Prepare(stream.Context(), work); err != nil {
			return withPhase(err, "prepare")
		}
	}
	s.mu.Lock()
	if s.works == nil {
		s.works = map[string]*sdk.Work{}
	}
	_, taken := s.works[work.ID]
	if !taken {
		s.works[work.ID] = work
		s.held += size
	}
	s.mu.Unlock()
	if taken {
		return outOfOrder("prepare", "two Prepares at the same time")
	}
	sum := sdk.TokenHash(work.Items)
	return stream.SendAndClose(&pb.PrepareResponse{WorkId: work.ID, Count: uint32(len(work.Items)), TokenHash: sum[:]})
}

// receiveWork assembles a work of at most room token ids, a request counting
// as some ids more, and returns how many it has.
func receiveWork(stream grpc.ClientStreamingServer[pb.PrepareRequest, pb.PrepareResponse], room int64) (*sdk.Work, int64, error) {
	invalid := func(format string, args ...any) error {
		return &sdk.Error{Code: sdk.InvalidRequest, Phase: "prepare", Message: fmt.Sprintf(format, args...)}
	}
	const itemIDs = 16 // what a request's own fields take, in ids
	var work *sdk.Work
	var size int64
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		switch {
		case work == nil && request.GetHeader() == nil:
			return nil, 0, invalid("the first message has no header")
		case work == nil:
			work = wire.FromWorkHeader(request.GetHeader())
		case request.GetHeader() != nil:
			return nil, 0, invalid("a second header came")
		}
		for _, item := range request.GetItems() {
			work.Items = append(work.Items, wire.FromWorkItem(item))
			size += itemIDs + int64(len(item.GetTokenIds()))
		}
		if size > room {
			return nil, 0, invalid("the prepared requests hold more than %d token ids; prepare fewer at a time", mostHeldIDs)
		}
	}
	if work == nil || len(work.Items) == 0 {
		return nil, 0, invalid("no request was sent")
	}
	return work, size, nil
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
		if err := s.ready("tokenize"); err != nil {
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
