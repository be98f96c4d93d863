package wire

import (
	"context"
	"errors"
	"strings"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// mostText bounds the texts of an error. They travel in a trailer, and some
// peers give up on one above 8 KiB.
const mostText = 4 << 10

// ToError translates a plugin's error into a gRPC status that carries it
// whole. Errors of other kinds become sdk.Internal.
func ToError(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		e = &sdk.Error{Code: sdk.CodeOf(err)}
		switch {
		case errors.Is(err, context.Canceled):
			e.Code = sdk.Cancelled
		case errors.Is(err, context.DeadlineExceeded):
			e.Code = sdk.Timeout
		}
		e.Message = err.Error()
	}
	message := cut(messageOf(err, e))
	code := e.Code
	if _, known := codes.words[code]; !known {
		// A word of the author's own: the contract has no number for it.
		message, code = cut(string(e.Code)+": "+message), sdk.Internal
	}
	detail := &pb.Error{
		Code: codes.to(code), Message: message, KeyPath: text(e.KeyPath), Phase: text(e.Phase),
		Numbers: e.Numbers, Advice: cut(e.Advice), Stack: text(e.Stack),
	}
	s, detailErr := status.New(grpcCode(code), message).WithDetails(detail)
	if detailErr != nil {
		// A key of Numbers is not UTF-8.
		return status.Error(grpcCode(code), message)
	}
	return s.Err()
}

// messageOf is e's message with what the author wrapped around it.
func messageOf(err error, e *sdk.Error) string {
	message := e.Message
	if message == "" {
		message = e.Code.Error()
	}
	if around, after, found := strings.Cut(err.Error(), e.Error()); found {
		message = around + message + after
	}
	return message
}

// cut shortens a text.
func cut(s string) string {
	if len(s) > mostText {
		s = s[:mostText] + " ..."
	}
	return text(s)
}

// text makes a text valid UTF-8. The transport refuses any other, and what an
// engine prints must not end a measurement.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

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
			code := codes.from(e.GetCode())
			if code == "" {
				code = sdk.Internal
			}
			return &sdk.Error{
				Code: code, Message: e.GetMessage(), KeyPath: e.GetKeyPath(), Phase: e.GetPhase(),
				Numbers: e.GetNumbers(), Advice: e.GetAdvice(), Stack: e.GetStack(),
			}, true
		}
	}
	return nil, false
}
