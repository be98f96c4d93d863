package engine

import (
	"fmt"
	"os/exec"
	"syscall"
)

// children are a shell and its `sleep`, in a session of their own, where a
// kill of this process's group does not reach them.
type children struct{ shell *exec.Cmd }

func startChildren() (*children, error) {
	shell := exec.Command("/bin/sh", "-c", "sleep 3600 & wait")
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := shell.Start(); err != nil {
		return nil, fmt.Errorf("start the simulated children: %w", err)
	}
	return &children{shell: shell}, nil
}

// stop ends both, as an engine that unloads in an orderly way does.
func (c *children) stop() error {
	if err := syscall.Kill(-c.shell.Process.Pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("stop the simulated children: %w", err)
	}
	_ = c.shell.Wait() // it says that it was killed
	return nil
}
