package proc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	shaken         bool // the first line of stdout has passed; stdout's reader alone uses it
	head           *head
	tail           *tail
	log            *rawLog
	strayTail      *stream // what came on stdout after the handshake
	stderrTail     *stream

	mu     sync.Mutex
	seen   map[int]process // descendants, by pid, that were seen while the plugin lived
	ending sync.Once
	tidy   sync.Once
	left   []int         // who outlived the sweep; valid once exited is closed
	exited chan struct{} // closed after the process was waited for
	state  *os.ProcessState
}

// NewRunner prepares a process. env is what the transport adds to the
// environment. All of stderr, and of stdout after the handshake, goes to log as
// it comes, if that is not nil.
func NewRunner(c Command, env []string, log io.Writer) (*Runner, error) {
	cookie := make([]byte, 16)
	if _, err := rand.Read(cookie); err != nil {
		return nil, fmt.Errorf("make a name for the plugin's process: %w", err)
	}
	r := &Runner{
		cookie: hex.EncodeToString(cookie),
		head:   &head{},
		tail:   &tail{},
		log:    &rawLog{w: log},
		seen:   map[int]process{},
		exited: make(chan struct{}),
	}
	r.strayTail, r.stderrTail = r.tail.stream("[stdout] "), r.tail.stream("")
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
func (r *Runner) Start(ctx context.Context) (err error) {
	var open []*os.File
	defer func() {
		if err != nil {
			for _, f := range open {
				f.Close()
			}
			r.releaseSocketDir()
		}
	}()
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", r.cmd.Path, context.Cause(ctx))
	}
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
	go r.watch()
	return nil
}

// watch sees the process end, ends what belongs to it, and only then collects
// it: until then its pid, which names the group too, cannot pass to another. It
// waits for the process alone, not for its pipes: a grandchild that holds them
// must not make a dead plugin look alive.
func (r *Runner) watch() {
	awaitDeath(r.cmd.Process.Pid)
	r.end()
	// An error means that somebody else waited for the process: then its state
	// is not known, and stays nil.
	r.state, _ = r.cmd.Process.Wait()
	close(r.exited)
}

// ExitError is a process that did not end with code 0.
type ExitError struct {
	State *os.ProcessState // nil: not known
}

func (e *ExitError) Error() string {
	if e.State == nil {
		return "its exit state is not known: another part of this program waited for it"
	}
	return e.State.String()
}

// Exited is closed when the process, its group and all that is known to descend
// from it are gone.
func (r *Runner) Exited() <-chan struct{} { return r.exited }

// ExitState returns the exit code, or -1 and the signal's name, once Exited is
// closed; ok is false before, and if the state is not known.
func (r *Runner) ExitState() (code int, signal string, ok bool) {
	select {
	case <-r.exited:
	default:
		return 0, "", false
	}
	if r.state == nil {
		return 0, "", false
	}
	if status, isWait := r.state.Sys().(syscall.WaitStatus); isWait && status.Signaled() {
		return -1, status.Signal().String(), true
	}
	return r.state.ExitCode(), "", true
}

// StderrTail returns the last lines of stderr and, marked, of what came on
// stdout after the handshake.
func (r *Runner) StderrTail() []string { return r.tail.Lines() }

// StdoutHead returns the first bytes of stdout: what stood where the handshake
// was expected.
func (r *Runner) StdoutHead() string { return r.head.String() }

// Wait waits until the process is gone. An end other than with code 0 is an
// *ExitError.
func (r *Runner) Wait(ctx context.Context) error {
	select {
	case <-r.exited:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.state == nil || !r.state.Success() {
		return &ExitError{State: r.state}
	}
	return nil
}

// killWait bounds Kill.
const killWait = time.Second

// Kill ends the process, its group and everything that descends from it. It
// returns within a second, also if the process is stopped or somebody holds on
// to its pipes. An error names who is still there.
func (r *Runner) Kill(ctx context.Context) error {
	if r.cmd.Process == nil {
		r.releaseSocketDir()
		return nil
	}
	go r.end()
	limit := time.NewTimer(killWait)
	defer limit.Stop()
	select {
	case <-r.exited:
	case <-ctx.Done():
		return ctx.Err()
	case <-limit.C:
		return fmt.Errorf("kill %s (pid %d): it is still there after %v; it may hang in a driver call", r.cmd.Path, r.PID(), killWait)
	}
	if len(r.left) > 0 {
		return fmt.Errorf("kill %s (pid %d): its descendants %v are still there; they may hang in a driver call", r.cmd.Path, r.PID(), r.left)
	}
	return nil
}

// remember looks who descends from the plugin now. A plugin that leaves in
// order, and does not look after its descendants, takes the knowledge with it.
func (r *Runner) remember() {
	if r.cmd.Process == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range related(r.PID(), r.cookie, r.seen) {
		r.seen[p.pid] = p
	}
}

// end kills the group and sweeps the rest, once. It runs before the process is
// waited for.
func (r *Runner) end() {
	r.ending.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		pid := r.PID()
		_, r.left = sweep(pid, r.cookie, r.seen, func() {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			// In case the plugin has moved to another group.
			_ = r.cmd.Process.Signal(syscall.SIGKILL)
		})
		r.lifeline.Close()
		r.releaseSocketDir()
		// The readers end here even if an escaped process kept a copy of the
		// other ends.
		time.AfterFunc(drainTime, func() {
			r.stdout.Close()
			r.stderr.Close()
		})
	})
}

func (r *Runner) releaseSocketDir() {
	r.tidy.Do(func() { releaseSocketDir(r.cmd.Env) })
}

// drainTime is how long the last lines of a dead plugin may take to arrive.
const drainTime = 200 * time.Millisecond

// Stdout is where the handshake comes from: the first line, and nothing more.
func (r *Runner) Stdout() io.ReadCloser {
	return stdoutReader{r.stdout, r.head, io.MultiWriter(r.strayTail, r.log), &r.shaken}
}

// Stderr carries the plugin's log.
func (r *Runner) Stderr() io.ReadCloser {
	return stderrReader{r.stderr, io.MultiWriter(r.stderrTail, r.log)}
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
