package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// guardUnary refuses requests that this plugin does not fully understand and
// turns panics and errors into ones that reach the host whole.
func (s *services) guardUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	s.guardStdout()
	if err := s.understand(request); err != nil {
		return nil, wire.ToError(err)
	}
	err = safely(func() error {
		var err error
		response, err = handler(ctx, request)
		return err
	})
	return response, wire.ToError(err)
}

func (s *services) guardStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s.guardStdout()
	return wire.ToError(safely(func() error {
		return handler(server, &guardedStream{ServerStream: stream, services: s})
	}))
}

type guardedStream struct {
	grpc.ServerStream
	services *services
}

// RecvMsg checks each message of a client's stream.
func (g *guardedStream) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return g.services.understand(m)
}

// understand refuses unknown fields and features. Describe is exempt: it is
// how two versions learn of each other.
func (s *services) understand(request any) error {
	message, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	if _, describe := request.(*pb.DescribeRequest); describe {
		return nil
	}
	name := message.ProtoReflect().Descriptor().Name()
	if wire.HasUnknown(message) {
		return &sdk.Error{
			Code: sdk.InvalidRequest, Phase: "read " + string(name),
			Message: "the request has fields that this plugin does not know",
			Advice:  "the host is newer than the plugin's SDK " + sdk.Version + "; rebuild the plugin with a newer one",
		}
	}
	if r, ok := request.(interface{ GetRequiredFeatures() []string }); ok {
		have := s.identity.features()
		for _, feature := range r.GetRequiredFeatures() {
			if !slices.Contains(have, feature) {
				return &sdk.Error{
					Code: sdk.UnsupportedFeature, Phase: "read " + string(name),
					Message: fmt.Sprintf("the host requires the feature %q, which this plugin does not have", feature),
				}
			}
		}
	}
	return nil
}

// mostStack bounds the stack of a panic: it travels in a trailer, and peers
// limit those.
const mostStack = 6 << 10

// safely runs f and turns a panic into an error with its stack, so that the
// process lives on and can say what happened.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := string(debug.Stack())
			err = &sdk.Error{Code: sdk.Panicked, Message: fmt.Sprintf("panic: %v", p), Stack: stack[:min(len(stack), mostStack)]}
		}
	}()
	return f()
}
