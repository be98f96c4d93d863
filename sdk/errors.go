package sdk

import (
	"errors"
	"strings"
)

// Code says what kind of thing went wrong. It crosses the process boundary,
// and errors.Is(err, sdk.OutOfMemory) holds on both sides.
type Code string

// The codes of the contract.
const (
	OutOfMemory          Code = "out_of_memory"
	UnsupportedParameter Code = "unsupported_parameter"
	EngineMissing        Code = "engine_missing"
	ModelMissing         Code = "model_missing"
	EngineCrashed        Code = "engine_crashed"
	Timeout              Code = "timeout"
	InvalidRequest       Code = "invalid_request"
	CallOrder            Code = "call_order"
	UnsupportedFeature   Code = "unsupported_feature"
	Panicked             Code = "panic"
	Cancelled            Code = "cancelled"
	Permission           Code = "permission"
	DeviceMissing        Code = "device_missing"
	Internal             Code = "internal"
)

// Error makes a Code a target for errors.Is.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// Error is a failure that a plugin reports.
type Error struct {
	Code    Code
	Message string
	// KeyPath of the parameter concerned, relative to the plugin's table.
	KeyPath string
	// Phase is what was being done: "load weights", "run", "open".
	Phase string
	// Numbers such as wanted_bytes and free_bytes.
	Numbers map[string]int64
	// Advice is the next thing to try, one sentence.
	Advice string
	// Stack of a panic.
	Stack string
}

// Error returns phase, key, message and advice in one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Phase != "" {
		b.WriteString(e.Phase + ": ")
	}
	if e.KeyPath != "" {
		b.WriteString(e.KeyPath + ": ")
	}
	if e.Message != "" {
		b.WriteString(e.Message)
	} else {
		b.WriteString(e.Code.Error())
	}
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	return b.String()
}

// Is matches the error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// CodeOf returns the code of err, or Internal where it carries none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var code Code
	if errors.As(err, &code) {
		return code
	}
	return Internal
}
