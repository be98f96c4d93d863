//go:build engines

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// endless starts a Run that goes on until it is stopped, and waits for its
// first pass. done gets its error.
func endless(t *testing.T, ctx context.Context, b *backend) (run *sdk.Run, done chan error) {
	t.Helper()
	items := workOf(64, prompts(4)...).Items
	work := &sdk.Work{ExactLengths: true}
	for range 10_000 {
		work.Items = append(work.Items, items...)
	}
	first := make(chan struct{}, 1<<16)
	run = sdk.NewRun(batchOf4, work, func(event sdk.RunEvent) {
		if _, ok := event.(sdk.PassRecord); ok {
			first <- struct{}{}
		}
	})
	done = make(chan error, 1)
	go func() { done <- b.Run(ctx, run) }()
	select {
	case <-first:
	case err := <-done:
		t.Fatalf("the Run ended: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("no pass came to its end")
	}
	return run, done
}

func isGone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestAWorkerThatIsKilled(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, engineCell(t, sdk.Table{"batch_size": int64(4)}))
	abortBetweenTwoSteps(t, b)
	_, done := endless(t, t.Context(), b)
	pid := b.workers.First().PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-done
	if !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), "signal: killed") || !strings.Contains(err.Error(), "dmesg") {
		t.Errorf("error %v", err)
	}
	if _, err := b.Counters(t.Context()); !errors.Is(err, sdk.EngineCrashed) {
		t.Errorf("counters of a dead worker: %v", err)
	}
	if err := b.Unload(t.Context()); err != nil || !isGone(pid) {
		t.Errorf("Unload: %v; the worker is gone: %v", err, isGone(pid))
	}
}

// A fault in native code says where Python was.
func TestAWorkerThatCrashes(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, engineCell(t, sdk.Table{"batch_size": int64(4)}))
	_, done := endless(t, t.Context(), b)
	if err := syscall.Kill(b.workers.First().PID(), syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, sdk.EngineCrashed) || !strings.Contains(err.Error(), "main.py") {
		t.Errorf("error %v", err)
	}
}

// abortBetweenTwoSteps breaks off a generate, which the worker outlives.
func abortBetweenTwoSteps(t *testing.T, b *backend) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	run, done := endless(t, ctx, b)
	run.RequestStop(sdk.StopAbort)
	cancel(sdk.ErrAborted)
	if err := <-done; err != nil {
		t.Errorf("error %v", err)
	}
	finished, err := run.Finish()
	if err != nil || finished.Reason != sdk.FinishAborted {
		t.Errorf("%+v, error %v", finished, err)
	}
	// The worker lives on, and the next Run is whole.
	if got := drive(t, b, batchOf4, workOf(4, prompts(4)...)); got.passes[0].OutputTokens != 16 {
		t.Errorf("%+v", got.passes)
	}
}

// stall stops a worker in the middle of a Run that is then aborted, and wants the
// Run to end by it.
func stall(t *testing.T, b *backend, pid int) {
	t.Helper()
	b.patience = 200 * time.Millisecond
	ctx, cancel := context.WithCancelCause(t.Context())
	_, done := endless(t, ctx, b)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cancel(sdk.ErrAborted)
	select {
	case err := <-done:
		if !errors.Is(err, sdk.EngineCrashed) {
			t.Errorf("error %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the Run goes on")
	}
}

// A worker that does nothing any more, as in a call of the driver that never
// returns, is killed in bounded time.
func TestAWorkerThatIsStuck(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, engineCell(t, sdk.Table{"batch_size": int64(4)}))
	pid := b.workers.First().PID()
	stall(t, b, pid)
	if err := b.Unload(t.Context()); err != nil || !isGone(pid) {
		t.Errorf("Unload: %v; the worker is gone: %v", err, isGone(pid))
	}
}

func TestAnUnloadOfAStuckWorker(t *testing.T) {
	t.Parallel()
	b, _ := loadEngine(t, engineCell(t, sdk.Table{}))
	pid := b.workers.First().PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Unload(ctx); err != nil || !isGone(pid) {
		t.Errorf("Unload: %v; the worker is gone: %v", err, isGone(pid))
	}
}

// What a library prints, on whatever descriptor and however much, changes
// nothing: it is read away, and the log gets a part of it.
func TestALibraryThatPrints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sitecustomize.py"), []byte(`
import os, threading
def shout():
    for _ in range(1600):
        os.write(1, b"shouting " * 7282)  # 100 MB in all, without a line's end
    os.write(1, b"\nshouted\n")
print("no line of the protocol")
threading.Thread(target=shout).start()
`))
	b, _ := loadEngine(t, withEnvironment(t, engineCell(t, sdk.Table{"batch_size": int64(4), "dtype": "float32"}), "export PYTHONPATH="+dir))
	got := drive(t, b, batchOf4, workOf(4, prompts(4)...))
	if len(got.passes) != 1 || got.passes[0].OutputTokens != 16 {
		t.Errorf("%+v", got.passes)
	}
}

// A load that is given up ends its worker, whatever that is doing.
func TestALoadThatIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := &backend{}
	_, err := b.Load(ctx, sdk.LoadRequest{Cell: engineCell(t, sdk.Table{}), WorkDir: t.TempDir()}, sdk.NewProgress(func(e sdk.StageEvent) {
		if e.Kind == sdk.StageStart && e.Moment == sdk.StageBegin {
			cancel()
		}
	}))
	if err == nil {
		t.Fatal("it went on")
	}
	pid := b.workers.First().PID()
	if err := b.Unload(t.Context()); err != nil || !isGone(pid) {
		t.Errorf("Unload: %v; the worker is gone: %v", err, isGone(pid))
	}
}

// An environment without torch, made on the spot.
func TestAnEnvironmentWithoutTorch(t *testing.T) {
	dir := t.TempDir()
	if text, err := exec.Command("python3", "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Setenv("VIRTUAL_ENV", dir)
	t.Setenv("PYTHONPATH", "")
	found := check(t, cell(sdk.Table{}), sdk.DepthEnvironment).Diagnostics
	if len(found) != 1 || !strings.Contains(found[0].Message, "has no torch and no transformers") || !strings.Contains(found[0].Advice, "-m pip install \"torch>=2.6\"") {
		t.Errorf("found %+v", found)
	}
	_, err := (&backend{}).Load(t.Context(), sdk.LoadRequest{Cell: cell(sdk.Table{}), WorkDir: t.TempDir()}, sdk.NewProgress(func(sdk.StageEvent) {}))
	if !errors.Is(err, sdk.EngineMissing) || !strings.Contains(fmt.Sprint(err), "pip install torch transformers") {
		t.Errorf("error %v", err)
	}
}
