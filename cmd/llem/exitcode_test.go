package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

// What failed is told in any case; an interrupt decides the code.
func TestExitCode(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "out/summary.json", Err: errors.New("no space left on device")}
	canceled := fmt.Errorf("run: %w", context.Canceled)
	problems := study.Problems{{File: "s.toml", Message: "wrong"}}
	for _, test := range []struct {
		name        string
		err         error
		interrupted bool
		code        int
		stderr      string
	}{
		{"nothing", nil, false, 0, ""},
		{"nothing left to do", nil, true, 0, ""},
		{"failure", full, false, 1, "error: write out/summary.json: no space left on device\n"},
		{"told already", errors.Join(errFailed), false, 1, ""},
		{"told already and more", errors.Join(errFailed, full), false, 1, "error: write out/summary.json: no space left on device\n"},
		{"study", usageError{problems}, false, 2, "s.toml: wrong\n1 problem, nothing was started.\n"},
		{"study and more", usageError{errors.Join(problems, full)}, false, 2, "s.toml: wrong\n1 problem, nothing was started.\nwrite out/summary.json: no space left on device\n"},
		{"interrupt", canceled, true, 130, "interrupted\n"},
		{"interrupt while preparing", usageError{context.Canceled}, true, 130, "interrupted\n"},
		{"interrupt and failure", errors.Join(errFailed, errors.Join(canceled, full)), true, 130, "error: write out/summary.json: no space left on device\ninterrupted\n"},
		{"cancelled by itself", canceled, false, 1, "error: run: context canceled\n"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if test.interrupted {
			cancel()
		}
		var stderr strings.Builder
		if code := exitCode(ctx, &stderr, test.err); code != test.code || stderr.String() != test.stderr {
			t.Errorf("%s: code %d, expected %d; stderr %q", test.name, code, test.code, stderr.String())
		}
		cancel()
	}
}
