package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// StartChild, on the plugin's side, starts a process that dies with the plugin:
// it stays in the plugin's group and the kernel kills it when the plugin is
// gone. Its output goes to the two files, never to the plugin's own descriptors
// 1 and 2: a child that holds those makes a dead plugin look alive.
func StartChild(cmd *exec.Cmd, stdout, stderr *os.File) error {
	if stdout == nil || stderr == nil {
		return fmt.Errorf("start %s: name a file for its output and one for its errors", cmd.Path)
	}
	if cmd.SysProcAttr != nil && (cmd.SysProcAttr.Setpgid || cmd.SysProcAttr.Setsid) {
		return fmt.Errorf("start %s: it must stay in the plugin's process group: set neither Setpgid nor Setsid", cmd.Path)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := tieToParent(cmd); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	started := make(chan error)
	parentThread() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("start %s: the file does not exist: %w", cmd.Path, err)
		}
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// parentThread is the thread that starts all children. "The parent is gone"
// means, to the kernel, that the thread which started the child is gone, so
// this one stays until the process ends.
var parentThread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})
