package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Command says how to start a worker.
type Command struct {
	Python string     // the interpreter
	Name   string     // in messages; "" = worker
	Dir    string     // for the program's files; "" = the system's temporary one
	Env    []string   // beside this process's own environment
	Files  []*os.File // to inherit, from descriptor 4 on
	Log    io.Writer
}

// Process is a running worker. It stays in this process's group, so that it
// ends with it however that ends.
type Process struct {
	name    string
	command *exec.Cmd
	socket  net.Conn
	output  *output
	pipe    *os.File // the read end of what it prints
	program string
	calls   int64
	writing sync.Mutex
	exited  chan struct{}
	status  error // once exited is closed
}

// exitGrace is within which time a worker that closed its socket ends, and the
// rest of its output arrives.
const exitGrace = 2 * time.Second

// Start starts a worker. It imports nothing heavy before its first call.
func Start(c Command) (p *Process, err error) {
	p = &Process{name: c.Name, exited: make(chan struct{})}
	prefix := c.Name + ": "
	if c.Name == "" {
		p.name, prefix = "worker", ""
	}
	if p.program, err = unpack(c.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.removeProgram()
		}
	}()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe for the worker's output: %w", err), ours.Close())
	}
	defer write.Close()
	// A fault in native code prints where Python was; output is not held back.
	p.command = exec.Command(c.Python, "-X", "faulthandler", "-u", script(p.program, "main.py"))
	p.command.Env = append(os.Environ(), c.Env...)
	p.command.Stdout, p.command.Stderr = write, write
	p.command.ExtraFiles = append([]*os.File{theirs}, c.Files...)
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the %s with %s: %w", p.name, c.Python, err), ours.Close(), read.Close())
	}
	p.socket, p.pipe = ours, read
	p.output = readOutput(read, c.Log, prefix)
	go func() {
		p.status = p.command.Wait()
		close(p.exited)
	}()
	return p, nil
}

// socketPair returns our end as a connection and the worker's as a file.
func socketPair() (net.Conn, *os.File, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair for the worker: %w", err)
	}
	file := os.NewFile(uintptr(pair[0]), "worker")
	defer file.Close()
	theirs := os.NewFile(uintptr(pair[1]), "plugin")
	ours, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("open the socket to the worker: %w", err)
	}
	return ours, theirs, nil
}

// PID of the worker.
func (p *Process) PID() int { return p.command.Process.Pid }

// Stop asks the worker to end and kills it when ctx ends. Further calls do
// nothing.
func (p *Process) Stop(ctx context.Context) error {
	// A worker that is gone, or reads nothing any more, is waited for below.
	_ = p.socket.SetWriteDeadline(time.Now().Add(exitGrace))
	_ = p.write(envelope{Call: "exit"}, nil)
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
	return p.Kill()
}

// Kill ends the worker at once and returns when it is gone.
func (p *Process) Kill() error {
	_ = p.command.Process.Kill() // it may be gone already
	var err error
	select {
	case <-p.exited:
	case <-time.After(exitGrace):
		err = fmt.Errorf("the %s (process %d) does not end although it was killed; it hangs in the kernel, likely in a driver", p.name, p.PID())
	}
	_ = p.socket.Close() // a second Stop closes it again
	p.drain()
	p.removeProgram()
	return err
}

// drain waits for the rest of the output. A child that the worker leaves behind
// may hold the pipe open, which is no reason to wait longer.
func (p *Process) drain() {
	select {
	case <-p.output.done:
	case <-time.After(exitGrace):
	}
	p.pipe.Close()
}

func (p *Process) removeProgram() {
	// Only files in a temporary directory could stay.
	_ = os.RemoveAll(p.program)
}
