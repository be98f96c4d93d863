package openaiserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

// process is a server that this process started.
type process struct {
	command  *exec.Cmd
	family   *proc.Family
	mark     string // in the environment of its family
	log      *log
	port     int
	scratch  string // its directory for temporary files
	box      *container
	lifeline io.Closer // standard input of what runs the container
	exited   chan struct{}
	status   error // once exited is closed
}

const (
	loopback = "127.0.0.1"
	markName = "LLEM_SERVER"
)

// freePort finds one that nobody listens on. Somebody may take it before the
// server does; startProcess's caller then tries another.
var freePort = func() (int, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }() // only its number was wanted
	return l.Addr().(*net.TCPAddr).Port, nil
}

// startProcess starts a server that dies with this process. It does not see the
// caller's own environment mark, so that its family is told from others.
func startProcess(argv, env []string, dir string, port int, box *container, tell func(string)) (*process, error) {
	mark := markName + "=" + rand.Text()
	scratch, err := scratchDir(dir)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the server's log: %w", err)
	}
	defer write.Close()
	c := exec.Command(argv[0], argv[1:]...)
	c.Dir = dir
	// Without SPT_NOENV the name that a Python process gives itself overwrites
	// the environment that the kernel shows, and the mark with it.
	c.Env = append(append(os.Environ(), env...), mark, "SPT_NOENV=1", "PYTHONUNBUFFERED=1", "TMPDIR="+scratch)
	p := &process{command: c, mark: mark, port: port, scratch: scratch, box: box, exited: make(chan struct{})}
	if box != nil {
		p.lifeline, err = c.StdinPipe()
	}
	if err == nil {
		err = proc.StartChild(c, write, write)
	}
	if err != nil {
		read.Close()
		_ = os.RemoveAll(scratch)
		return nil, err
	}
	p.family = proc.NewFamily(c.Process.Pid, mark)
	p.log = readLog(read, tell)
	go func() {
		p.status = c.Wait()
		close(p.exited)
	}()
	return p, nil
}

// longestScratch leaves room for the directory's own name, 16 bytes, and for
// sockets named by a UUID: their paths end at 107 bytes.
const longestScratch = 48

// scratchDir is where the server's sockets and locks go, which engines leave
// behind. In the load's own directory they are removed however this process ends.
func scratchDir(dir string) (string, error) {
	if dir == "" || len(dir) > longestScratch {
		dir = "/tmp"
	}
	scratch, err := os.MkdirTemp(dir, "llem-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the server's temporary files: %w", err)
	}
	return scratch, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

func (p *process) dead() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// end is how it ended, in words.
func (p *process) end() string {
	<-p.exited
	if p.status == nil {
		return "exit status 0"
	}
	return p.status.Error()
}

// Patience of the steps that end a server.
const (
	interruptWait = 3 * time.Second
	terminateWait = 5 * time.Second
	killWait      = 5 * time.Second
)

// stop ends the server and its descendants, at first politely and at once when ctx
// ends. An error names who is left.
func (p *process) stop(ctx context.Context) error {
	p.family.Look()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, interruptWait}, {syscall.SIGTERM, terminateWait}} {
		if p.dead() || ctx.Err() != nil {
			break
		}
		if err := p.command.Process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			break
		}
		p.await(ctx, step.wait)
	}
	// Its children are on their way out, or are what it left behind.
	p.family.AwaitEnd(ctx, time.Second)
	left := p.family.Kill(killWait, p.exited)
	var remains error
	if p.box != nil {
		_ = p.lifeline.Close() // of a process that is gone
		remains = p.box.remove(ctx)
	}
	p.log.close()
	_ = os.RemoveAll(p.scratch) // only temporary files could stay
	switch {
	case len(left) > 0:
	case remains != nil:
		return &sdk.Error{Code: sdk.Internal, Phase: "stop the server", Message: remains.Error(), Advice: "remove the container by hand: it holds its devices"}
	default:
		return nil
	}
	return &sdk.Error{
		Code: sdk.Internal, Phase: "stop the server",
		Message: fmt.Sprintf("processes %v of it are still there although they were killed", left),
		Advice:  "they hang in the kernel, likely in a driver: see `dmesg`",
	}
}

func (p *process) await(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	case <-ctx.Done():
	}
}
