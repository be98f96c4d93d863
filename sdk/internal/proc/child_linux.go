package proc

import (
	"os/exec"
	"syscall"
)

// tieToParent has the kernel kill the child when its parent is gone.
func tieToParent(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return nil
}
