package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignals ends real runs whose engine has a child and a grandchild in a
// session of their own. Whatever the signal, nothing of them may survive, and
// what llem keeps in the temporary directory is gone.
func TestSignals(t *testing.T) {
	text := strings.Replace(oneCell, "batch_size = 8", "batch_size = 8\nchildren = true", 1)
	text = strings.Replace(text, "window_s = 2", "window_s = 600", 1) // never over
	// Under nohup the hangup is ignored, by all children too; what is caught here is
	// theirs again.
	caught := make(chan os.Signal, 1)
	ossignal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { ossignal.Stop(caught) })
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			r := startRun(t, text)
			r.await(t, "both children", func() bool { return len(survivors(r.cookie)) >= 5 }) // llem, sim twice, sh, sleep
			if err := r.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			state := r.wait(t)
			if want := 130; signal != syscall.SIGKILL && state.ExitCode() != want {
				t.Errorf("exit code %d, expected %d\n%s", state.ExitCode(), want, r.stderr.String())
			}
			r.await(t, "no survivor", func() bool { return len(survivors(r.cookie)) == 0 })
			r.await(t, "no socket", func() bool { return len(sockets(r.tmp)) == 0 })
			if signal == syscall.SIGKILL {
				return
			}
			if left := files(r.tmp); len(left) > 1 { // the directory of all hosts
				t.Errorf("left behind: %v", left)
			}
			if table := r.stdout.String(); !strings.Contains(table, "interrupted sim, block 1, in ") || strings.Contains(table, "failed") {
				t.Errorf("the table does not tell of the interrupt, or calls it a failure:\n%s", table)
			}
			if !strings.Contains(r.stderr.String(), " interrupted in ") || strings.Contains(r.stderr.String(), "FAILED") {
				t.Errorf("the trial's line: %s", r.stderr.String())
			}
			if !strings.Contains(r.stderr.String(), "interrupt again to kill it. 0 trials finished and kept in ") {
				t.Errorf("the first line after the interrupt: %s", r.stderr.String())
			}
			if !strings.Contains(r.stderr.String(), "0 of 1 trials are finished and kept\ninterrupted\n") {
				t.Errorf("stderr: %s", r.stderr.String())
			}
		})
	}
}

// TestInterruptHidesNoFailure interrupts a run whose table cannot be written.
func TestInterruptHidesNoFailure(t *testing.T) {
	t.Parallel()
	text := strings.Replace(oneCell, "window_s = 2", "window_s = 600", 1)
	r := startRun(t, text, "sh", "-c", `exec llem "$@" >/dev/full`, "sh")
	r.await(t, "a plugin", func() bool { return len(survivors(r.cookie)) >= 3 })
	_ = r.cmd.Process.Signal(syscall.SIGINT)
	state := r.wait(t)
	failed, results := "error: print the table: write /dev/stdout: no space left on device\ninterrupted\n", "\nresults in "
	if said := r.stderr.String(); state.ExitCode() != 130 || !strings.HasSuffix(said, failed) || !strings.Contains(said, results) {
		t.Errorf("exit code %d, stderr: %s", state.ExitCode(), said)
	}
}

// TestSecondSignalKills hangs the engine's unload: the first interrupt would
// wait for it, the second does not.
func TestSecondSignalKills(t *testing.T) {
	t.Parallel()
	text := strings.Replace(oneCell, "batch_size = 8", "batch_size = 8\nchildren = true\nfault = \"hang_unload\"", 1)
	text = strings.Replace(text, "window_s = 2", "window_s = 600", 1)
	r := startRun(t, text)
	r.await(t, "both children", func() bool { return len(survivors(r.cookie)) >= 5 })
	begin := time.Now()
	_ = r.cmd.Process.Signal(syscall.SIGINT)
	_ = r.cmd.Process.Signal(syscall.SIGINT) // an echo of the first, not a second
	select {
	case <-r.ended:
		t.Fatalf("an echo of the first signal ended llem after %v: %v", time.Since(begin), r.cmd.ProcessState)
	case <-time.After(sameRequest + sameRequest/2):
	}
	_ = r.cmd.Process.Signal(syscall.SIGINT)
	status := r.wait(t).Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v, expected by SIGINT", status)
	}
	r.await(t, "no survivor", func() bool { return len(survivors(r.cookie)) == 0 })
	r.await(t, "no socket", func() bool { return len(sockets(r.tmp)) == 0 })
}

// TestIgnoredSignals runs llem as nohup does: a hangup must not end it.
func TestIgnoredSignals(t *testing.T) {
	t.Parallel()
	r := startRun(t, oneCell, "sh", "-c", `trap "" HUP; exec llem "$@"`, "sh")
	r.await(t, "a plugin", func() bool { return len(survivors(r.cookie)) >= 2 })
	_ = r.cmd.Process.Signal(syscall.SIGHUP)
	if state := r.wait(t); state.ExitCode() != 0 {
		t.Errorf("exit code %d\n%s", state.ExitCode(), r.stderr.String())
	}
}

// running is a `llem run`.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	cookie         string // in the environment of every descendant
	tmp            string // its temporary and its runtime directory
	ended          chan struct{}
}

func startRun(t *testing.T, text string, wrapper ...string) *running {
	t.Helper()
	dir := t.TempDir()
	tmp, err := os.MkdirTemp("/tmp", "llem-") // short: it holds sockets
	path := filepath.Join(dir, "study.toml")
	if err := errors.Join(err, os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	r := &running{tmp: tmp, cookie: "LLEM_TEST_COOKIE=" + dir, ended: make(chan struct{})}
	if len(wrapper) == 0 {
		wrapper = []string{"llem"}
	}
	argv := append(wrapper, "run", "--plugin-dir", pluginDir, "--out", filepath.Join(dir, "out"), path)
	r.cmd = exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	r.cmd.Env = append(os.Environ(), r.cookie, "TMPDIR="+tmp, "XDG_RUNTIME_DIR="+tmp, "HOME="+dir)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its state is looked at
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
		for _, pid := range survivors(r.cookie) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return r
}

// patience bounds every wait; a loaded machine needs far less.
const patience = 45 * time.Second

func (r *running) wait(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatalf("llem did not end within %v", patience)
	}
	return r.cmd.ProcessState
}

func (r *running) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for: %s; processes %v, files %v", patience, what, survivors(r.cookie), files(r.tmp))
		}
	}
}

// survivors are the processes with the cookie in their environment.
func survivors(cookie string) []int {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+cookie+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// files lists what lies below dir.
func files(dir string) []string {
	var list []string
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			list = append(list, path)
		}
		return nil
	})
	return list
}

// sockets lists the sockets below dir.
func sockets(dir string) []string {
	var list []string
	for _, path := range files(dir) {
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
			list = append(list, path)
		}
	}
	return list
}
