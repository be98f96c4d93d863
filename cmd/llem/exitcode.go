package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1 // something failed; what was finished is kept
	exitUsage       = 2 // bad study, configuration or usage
	exitInterrupted = 130
)

// errFailed says that the command has told all about its failure already.
var errFailed = errors.New("")

// usageError is an error of what the user wrote.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// exitCode prints an error and turns it into the exit code. An interrupt
// decides the code; what failed besides is printed all the same.
func exitCode(ctx context.Context, stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	interrupted := ctx.Err() != nil
	if interrupted {
		err = besidesInterrupt(err)
	}
	code := exitFailed
	var (
		problems study.Problems
		usage    usageError
	)
	switch {
	case err == nil || errors.Is(err, errFailed) && strings.TrimSpace(err.Error()) == "":
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, strings.TrimRight(err.Error(), "\n"))
		code = exitUsage
	default:
		fmt.Fprintln(stderr, "error:", strings.TrimSpace(err.Error()))
		if errors.As(err, &usage) {
			code = exitUsage
		}
	}
	if interrupted {
		fmt.Fprintln(stderr, "interrupted")
		return exitInterrupted
	}
	return code
}

// besidesInterrupt is what of an error is not the interrupt or its
// consequence, or nil.
func besidesInterrupt(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	several, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // each part is looked at in turn
	if !ok {
		if inner := errors.Unwrap(err); inner != nil {
			return besidesInterrupt(inner)
		}
		return nil
	}
	var rest []error
	for _, part := range several.Unwrap() {
		if part = besidesInterrupt(part); part != nil {
			rest = append(rest, part)
		}
	}
	return errors.Join(rest...)
}
