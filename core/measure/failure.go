package measure

import (
	"context"
	"errors"
	"strings"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Codes of failures that are the core's own.
const (
	codeHeartbeatLost = "heartbeat_lost"
	codeStalled       = "no_progress"
	codeTrialTimeout  = "trial_timeout"
	codeLoadTimeout   = "load_timeout"
	codeWorkMissing   = "window_not_reached"
	codeNoEnergy      = "no_energy"
	codeAllFailed     = "all_requests_failed"
	codeAlreadyThere  = "already_published"
	codeUnstorable    = "record_unstorable"
)

// phaseError says in which phase of a trial something went wrong.
type phaseError struct {
	phase string
	code  string // "" = taken from err
	err   error
}

func (e *phaseError) Error() string { return e.phase + ": " + e.err.Error() }
func (e *phaseError) Unwrap() error { return e.err }

// failure turns an error into a trial's record of it.
func failure(err error) *result.Failure {
	f := &result.Failure{Phase: "trial", Code: string(sdk.CodeOf(err)), Message: err.Error()}
	var phase *phaseError
	if errors.As(err, &phase) {
		f.Phase, f.Message = phase.phase, phase.err.Error()
	}
	var (
		reported *sdk.Error
		died     *host.DiedError
		lost     *host.LostError
		unborn   *host.StartError
	)
	switch {
	case phase != nil && phase.code != "":
		f.Code = phase.code
	case errors.As(err, &lost):
		f.Code = codeHeartbeatLost
	case errors.As(err, &died):
		f.Code = string(sdk.EngineCrashed)
	case errors.Is(err, errStalled):
		f.Code = codeStalled
	case errors.Is(err, context.DeadlineExceeded):
		f.Code = string(sdk.Timeout)
	}
	if errors.As(err, &unborn) {
		f.StderrTail, f.Advice = unborn.StderrTail, unborn.Advice
	}
	if errors.As(err, &died) {
		f.StderrTail = died.StderrTail
	}
	if errors.As(err, &reported) {
		f.Advice, f.Numbers, f.Stack = reported.Advice, reported.Numbers, reported.Stack
		// The advice has a place of its own.
		f.Message = strings.TrimSuffix(f.Message, "; "+reported.Advice)
	}
	return f
}
