package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

func TestStartFailuresSayWhatWasSeen(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"garbage":        `it printed "Welcome to CUDA" where the handshake was expected`,
		"exit":           "it exited with code 7 before the handshake; its last words: no module named torch",
		"hang":           "no handshake within 500ms",
		"signal":         "it was ended by signal killed before the handshake",
		"other-major":    `another version of the plugin contract (handshake "1|9|unix|/nowhere|grpc") than this llem (1)`,
		"mute":           "did not answer Describe within 500ms",
		"describe-panic": "boom in Describe",
		"describe-exit":  "it died in its first answer (exit code 3); its last words: libcuda is missing",
		"raw-clock":      "stamps must be CLOCK_MONOTONIC nanoseconds",
		"raw-boot":       "it runs on another machine",
		"raw-nameless":   "it does not tell its name and kind",
		"raw-huge":       "a message above the contract's limit",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := start(t, mode, Options{StartTimeout: 500 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
			var failed *StartError
			if !errors.As(err, &failed) || strings.Count(err.Error(), failed.Path) != 1 && failed.Advice == "" {
				t.Errorf("%v names its path more than once", err)
			}
			// 500 ms to start and at most 4 s for the kill.
			if took := time.Since(begin); took > 4500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
		})
	}
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	noProgram := filepath.Join(dir, "no-program")
	if err := os.WriteFile(noProgram, []byte("nothing"), 0o755); err != nil {
		t.Fatal(err)
	}
	noInterpreter := filepath.Join(dir, "no-interpreter")
	if err := os.WriteFile(noInterpreter, []byte("#!/nowhere/python3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		noInterpreter:                "the interpreter that its first line names does not exist",
		filepath.Join(dir, "absent"): "the file does not exist",
		plain:                        "the file is not executable",
		noProgram:                    "no program for this machine",
	} {
		if _, err := Start(t.Context(), Command{Path: path}, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", filepath.Base(path), err, want)
		}
	}
}

func TestAStartCanBeGivenUp(t *testing.T) {
	before, _ := filepath.Glob(filepath.Join(sockets(t), "*"))
	for _, wait := range []time.Duration{0, time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(wait, cancel)
		begin := time.Now()
		p, err := Start(ctx, self(t, "hang"), Options{})
		stop.Stop()
		if p != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("given up after %v: %v", wait, err)
		}
		if took := time.Since(begin) - wait; took > 500*time.Millisecond {
			t.Errorf("given up after %v, it took %v more", wait, took)
		}
	}
	after, _ := filepath.Glob(filepath.Join(sockets(t), "*"))
	if len(after) > len(before) {
		t.Errorf("left behind: %v", after)
	}
}

// sockets gives the test a socket directory of its own.
func sockets(t *testing.T) string {
	t.Helper()
	if os.Getenv("TEST_SOCKETS") == "" {
		dir, err := os.MkdirTemp("/tmp", "llem-test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		t.Setenv("XDG_RUNTIME_DIR", dir)
		t.Setenv("TEST_SOCKETS", dir)
	}
	dir, err := proc.SocketDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNothingIsLeftInTheSocketDirectory(t *testing.T) {
	dir := sockets(t)
	p := mustStart(t, "")
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 1 {
		t.Errorf("while it lives the directory holds %v", found)
	}
	p.Kill()
	if _, err := start(t, "exit", Options{}); err == nil {
		t.Error("a plugin that exits started")
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestAPluginsLogRecordsArrive(t *testing.T) {
	t.Parallel()
	var records, raw lockedBuffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &records, JSONFormat: true, Level: hclog.Info})
	p, err := start(t, "", Options{Logger: logger, LogWriter: &raw})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, nil); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if !strings.Contains(records.String(), `"@level":"warn","@message":"loading"`) || !strings.Contains(records.String(), `"parameter":"big"`) {
		t.Errorf("the record is not among\n%s", records.String())
	}
	if !strings.Contains(raw.String(), `"@message":"loading"`) {
		t.Errorf("the line is not among\n%s", raw.String())
	}
}

// lockedBuffer is written by the readers of stderr while a test looks.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
