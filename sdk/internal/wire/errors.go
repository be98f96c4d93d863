package wire

import (
	"context"
	"errors"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToError translates a plugin's error into a gRPC status that carries it
// whole. Errors of other kinds become sdk.Internal.
func ToError(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		e = &sdk.Error{Code: sdk.CodeOf(err), Message: err.Error()}
		if errors.Is(err, context.Canceled) {
			e.Code = sdk.Cancelled
		}
	}
	message := e.Message
	if message == "" {
		message = e.Code.Error()
	}
	detail := &pb.Error{
		Code: codes.to(e.Code), Message: message, KeyPath: e.KeyPath, Phase: e.Phase,
		Numbers: e.Numbers, Advice: e.Advice, Stack: e.Stack,
	}
	s, detailErr := status.New(grpcCode(e.Code), message).WithDetails(detail)
	if detailErr != nil {
		return status.Error(grpcCode(e.Code), message)
	}
	return s.Err()
}

// grpcCode is for peers that look at the status alone. Unavailable is never
// used: it means that the process is gone.
func grpcCode(c sdk.Code) grpccodes.Code {
	switch c {
	case sdk.OutOfMemory:
		return grpccodes.ResourceExhausted
	case sdk.UnsupportedParameter, sdk.InvalidRequest:
		return grpccodes.InvalidArgument
	case sdk.EngineMissing, sdk.ModelMissing, sdk.DeviceMissing:
		return grpccodes.NotFound
	case sdk.Timeout:
		return grpccodes.DeadlineExceeded
	case sdk.CallOrder:
		return grpccodes.FailedPrecondition
	case sdk.UnsupportedFeature:
		return grpccodes.Unimplemented
	case sdk.Cancelled:
		return grpccodes.Canceled
	case sdk.Permission:
		return grpccodes.PermissionDenied
	}
	return grpccodes.Internal
}

// FromError translates a status back. Without a detail it returns nil, false:
// the error is the transport's. An unknown code keeps its number.
func FromError(err error) (*sdk.Error, bool) {
	s, ok := status.FromError(err)
	if !ok {
		return nil, false
	}
	for _, detail := range s.Details() {
		if e, ok := detail.(*pb.Error); ok {
			return &sdk.Error{
				Code: codes.from(e.GetCode()), Message: e.GetMessage(), KeyPath: e.GetKeyPath(), Phase: e.GetPhase(),
				Numbers: e.GetNumbers(), Advice: e.GetAdvice(), Stack: e.GetStack(),
			}, true
		}
	}
	return nil, false
}
