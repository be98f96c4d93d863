package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

// errGivenUp: the start was given up before the process existed.
var errGivenUp = errors.New("the start was given up")

// child is the plugin's process with a lock around its start, so that giving
// up at any moment leaves nothing running.
type child struct {
	*proc.Runner // nil until the transport asks for it

	mu      sync.Mutex
	givenUp bool
}

// Start starts the process, unless it is not wanted any more.
func (c *child) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.givenUp {
		return errGivenUp
	}
	return c.Runner.Start(ctx)
}

// adopt takes the runner that the transport will start.
func (c *child) adopt(r *proc.Runner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Runner = r
}

// giveUp ends the process if it has been started, and keeps it from starting
// otherwise. An error means that the kernel cannot end it.
func (c *child) giveUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.givenUp = true
	if c.Runner == nil || c.PID() == 0 {
		return nil
	}
	return c.Kill(context.Background())
}

// exists tells whether a process was started.
func (c *child) exists() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Runner != nil && c.PID() != 0
}

// Bounds of waiting for a dead plugin's last lines.
const (
	firstLineWait = 500 * time.Millisecond
	restWait      = 50 * time.Millisecond
)

// lastLines returns the last lines of a plugin that is gone or given up. The
// reader of its stderr may be a moment behind its exit, and nothing tells when
// it is not: a grandchild may hold the other end.
func (c *child) lastLines() []string {
	for waited := time.Duration(0); len(c.StderrTail()) == 0 && waited < firstLineWait; waited += restWait / 10 {
		time.Sleep(restWait / 10)
	}
	time.Sleep(restWait)
	return c.StderrTail()
}
