//go:build linux

package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A child by StartChild dies with its parent, without any host or sweep, and
// does not die with the thread that asked for it.
func TestAChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	dir, entry := newFamily(t)
	parent := exec.Command(self("").Path)
	parent.Env = append(os.Environ(), roleEnv+"=parent", entry)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scanErr := fmt.Sscan(line, &pid); err != nil || scanErr != nil {
		t.Fatalf("the parent said %q: %v", line, err)
	}
	if n := len(members(dir)); n != 2 {
		t.Errorf("%d processes, want parent and child", n)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitFor(t, "the child's end", func() bool { return len(members(dir)) == 0 })
	_, _ = syscall.Wait4(pid, nil, 0, nil) // it came to this process
}

func TestStartChildRefuses(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		want           string
		cmd            *exec.Cmd
		stdout, stderr *os.File
	}{
		{"name a file for its output", exec.Command("/bin/true"), nil, null},
		{"stay in the plugin's process group", &exec.Cmd{Path: "/bin/true", SysProcAttr: &syscall.SysProcAttr{Setsid: true}}, null, null},
		{"start /nowhere: the file does not exist", exec.Command("/nowhere"), null, null},
	} {
		if err := StartChild(c.cmd, c.stdout, c.stderr); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
