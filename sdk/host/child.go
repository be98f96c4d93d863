package host

import (
	"context"
	"errors"
	"sync"

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
