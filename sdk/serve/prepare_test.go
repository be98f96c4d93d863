package serve

import (
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// recorded is a client's stream of Prepare.
type recorded struct {
	grpc.ServerStream
	messages []*pb.PrepareRequest
}

func (r *recorded) Recv() (*pb.PrepareRequest, error) {
	if len(r.messages) == 0 {
		return nil, io.EOF
	}
	m := r.messages[0]
	r.messages = r.messages[1:]
	return m, nil
}

func (r *recorded) SendAndClose(*pb.PrepareResponse) error { return nil }

func TestAWorkIsAssembledWithinItsLimits(t *testing.T) {
	header := &pb.WorkHeader{ExactLengths: true, Sampling: &pb.Sampling{Seed: 7}}
	item := &pb.WorkItem{TokenIds: []uint32{1, 2, 3, 4}, MaxTokens: 5, ArrivalOffsetNs: 6}
	first := &pb.PrepareRequest{Header: header, Items: []*pb.WorkItem{item}}
	more := &pb.PrepareRequest{Items: []*pb.WorkItem{item, item}}

	work, size, err := receiveWork(&recorded{messages: []*pb.PrepareRequest{first, more}}, 60)
	if err != nil || len(work.Items) != 3 || size != 60 || !work.ExactLengths || work.Sampling.Seed != 7 || work.Items[2].ArrivalOffsetNs != 6 {
		t.Errorf("got %+v of %d, %v", work, size, err)
	}
	for want, messages := range map[string][]*pb.PrepareRequest{
		"more than":         {first, more, more},
		"has no header":     {more, first},
		"a second header":   {first, first},
		"no request was":    {{Header: header}},
		"no request was se": {},
	} {
		_, _, err := receiveWork(&recorded{messages: messages}, 60)
		if !errors.Is(err, sdk.InvalidRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
