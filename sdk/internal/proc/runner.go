package proc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Environment variables that the host sets for a plugin.
const (
	// lifelineEnv holds the number of the lifeline's file descriptor.
	lifelineEnv = "LLEM_LIFELINE_FD"
	// cookieEnv names the plugin's instance; descendants inherit it.
	cookieEnv = "LLEM_PLUGIN_INSTANCE"
)

// lifelineFD is where the plugin finds its end of the pipe.
const lifelineFD = 3

// Command is what to start.
type Command struct {
	Path string
	Args []string // without the program's name
	Dir  string   // "" = the host's
	Env  []string // besides the host's environment
}

// Runner is one plugin process. It satisfies go-plugin's runner.Runner.
type Runner struct {
	cmd    *exec.Cmd
	cookie string
	// lifeline is the end of the pipe whose closing the plugin notices. The
	// kernel closes it whatever way the host dies.
	lifeline *os.File

	stdout, stderr *os.File
	tail           *Tail
	head           *head
	log            io.Writer

	exited   chan struct{}
	waitErr  error
	killOnce sync.Once
}

// NewRunner prepares a process. env is what the transport adds to the
// environment. Every line of stderr goes to log, if that is not nil.
func NewRunner(c Command, env []string, log io.Writer) (*Runner, error) {
	cookie := make([]byte, 16)
	if _, err := rand.Read(cookie); err != nil {
		return nil, fmt.Errorf("make a name for the plugin's process: %w", err)
	}
	r := &Runner{cookie: hex.EncodeToString(cookie), tail: newTail(), head: &head{}, log: log, exited: make(chan struct{})}
	r.cmd = exec.Command(c.Path, c.Args...)
	r.cmd.Dir = c.Dir
	r.cmd.Env = append(append(os.Environ(), env...), c.Env...)
	r.cmd.Env = append(r.cmd.Env, fmt.Sprintf("%s=%d", lifelineEnv, lifelineFD), cookieEnv+"="+r.cookie)
	// A group of its own: a Ctrl-C at the terminal reaches the host only,
	// which then unloads in order.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return r, nil
}

// Start starts the process.
func (r *Runner) Start(context.Context) (err error) {
	var open []*os.File
	defer func() {
		if err != nil {
			for _, f := range open {
				f.Close()
			}
		}
	}()
	pipe := func() (read, write *os.File) {
		if err != nil {
			return nil, nil
		}
		if read, write, err = os.Pipe(); err == nil {
			open = append(open, read, write)
		}
		return read, write
	}
	lifeRead, lifeWrite := pipe()
	outRead, outWrite := pipe()
	errRead, errWrite := pipe()
	if err != nil {
		return fmt.Errorf("start %s: make pipes: %w", r.cmd.Path, err)
	}
	// nil stdin is the null device: a plugin that reads the terminal would
	// stop as a background process.
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = nil, outWrite, errWrite
	r.cmd.ExtraFiles = []*os.File{lifeRead}
	if err = r.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.cmd.Path, err)
	}
	lifeRead.Close()
	outWrite.Close()
	errWrite.Close()
	r.lifeline, r.stdout, r.stderr = lifeWrite, outRead, errRead
	go func() {
		// Waits for the process alone, not for its pipes: a grandchild that
		// holds them must not make a dead plugin look alive.
		state, err := r.cmd.Process.Wait()
		if err == nil && !state.Success() {
			err = &ExitError{State: state}
		}
		r.waitErr = err
		close(r.exited)
		r.end()
	}()
	return nil
}

// ExitError is a process that did not end with code 0.
type ExitError struct{ State *os.ProcessState }

func (e *ExitError) Error() string { return e.State.String() }

// Exited is closed when the process is gone.
func (r *Runner) Exited() <-chan struct{} { return r.exited }

// ExitState returns the exit code, or the signal's name, once Exited is
// closed; ok is false before.
func (r *Runner) ExitState() (code int, signal string, ok bool) {
	select {
	case <-r.exited:
	default:
		return 0, "", false
	}
	var exit *ExitError
	if !errors.As(r.waitErr, &exit) {
		return 0, "", true
	}
	if status, isWait := exit.State.Sys().(syscall.WaitStatus); isWait && status.Signaled() {
		return -1, status.Signal().String(), true
	}
	return exit.State.ExitCode(), "", true
}

// StderrTail returns the last lines of stderr.
func (r *Runner) StderrTail() []string { return r.tail.Lines() }

// StdoutHead returns the first bytes of stdout: what stood where the handshake
// was expected.
func (r *Runner) StdoutHead() string { return r.head.String() }

// Wait waits until the process is gone.
func (r *Runner) Wait(ctx context.Context) error {
	select {
	case <-r.exited:
		return r.waitErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

// killWait bounds the wait for a killed process to be gone.
const killWait = time.Second

// Kill ends the process, its group and everything that descends from it. It
// returns within about a second, also if the process is stopped or holds on to
// its pipes.
func (r *Runner) Kill(context.Context) error {
	if r.cmd.Process == nil {
		return nil
	}
	r.end()
	select {
	case <-r.exited:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("kill %s (pid %d): it is still there after %v; it may hang in a driver call", r.cmd.Path, r.cmd.Process.Pid, killWait)
	}
}

// end kills the group and sweeps the rest, once.
func (r *Runner) end() {
	r.killOnce.Do(func() {
		// The group is addressed by the leader's pid, which stays reserved
		// while any member lives.
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		Sweep(r.cmd.Process.Pid, r.cookie)
		r.lifeline.Close()
		// The readers end here even if an escaped process kept a copy of the
		// other ends.
		time.AfterFunc(drainTime, func() {
			r.stdout.Close()
			r.stderr.Close()
		})
	})
}

// drainTime is how long the last lines of a dead plugin may take to arrive.
const drainTime = 200 * time.Millisecond

// Stdout is where the handshake comes from.
func (r *Runner) Stdout() io.ReadCloser { return tee{r.stdout, r.head} }

// Stderr carries the plugin's log.
func (r *Runner) Stderr() io.ReadCloser {
	if r.log == nil {
		return tee{r.stderr, r.tail}
	}
	return tee{r.stderr, io.MultiWriter(r.tail, quietWriter{r.log})}
}

// tee hands a copy of all that is read to w.
type tee struct {
	*os.File
	w io.Writer
}

func (t tee) Read(p []byte) (int, error) {
	n, err := t.File.Read(p)
	if n > 0 {
		// The writers of this package cannot fail.
		_, _ = t.w.Write(p[:n])
	}
	return n, err
}

// quietWriter hides the errors of a log file: a full disk must not block the
// plugin's stderr.
type quietWriter struct{ w io.Writer }

func (q quietWriter) Write(p []byte) (int, error) {
	_, _ = q.w.Write(p)
	return len(p), nil
}

// Name is the program's path.
func (r *Runner) Name() string { return r.cmd.Path }

// ID is the process id.
func (r *Runner) ID() string {
	if r.cmd.Process == nil {
		return "not started"
	}
	return fmt.Sprint(r.cmd.Process.Pid)
}

// PID is the process id; 0 before Start.
func (r *Runner) PID() int {
	if r.cmd.Process == nil {
		return 0
	}
	return r.cmd.Process.Pid
}

// Diagnose says what is known of a process that gave no handshake.
func (r *Runner) Diagnose(context.Context) string {
	var parts []string
	if code, signal, ok := r.ExitState(); ok {
		parts = append(parts, exitText(code, signal))
	}
	if lines := r.StderrTail(); len(lines) > 0 {
		parts = append(parts, "stderr: "+strings.Join(lines, " | "))
	}
	return strings.Join(parts, "; ")
}

func exitText(code int, signal string) string {
	if signal != "" {
		return "it was ended by signal " + signal
	}
	return fmt.Sprintf("it exited with code %d", code)
}

// PluginToHost returns the address as it is: both live in one namespace.
func (r *Runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin returns the address as it is.
func (r *Runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
