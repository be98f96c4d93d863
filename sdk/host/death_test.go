package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/proc"
)

// dyingHost starts a plugin with children, says its process id, and waits to
// be killed.
func dyingHost() {
	path, err := os.Executable()
	if err == nil {
		var p *Plugin
		if p, err = Start(context.Background(), Command{Path: path, Env: []string{"TEST_MODE=children", "TEST_HOST="}}, Options{}); err == nil {
			if _, err = p.Load(context.Background(), sdk.LoadRequest{Cell: cell}, nil); err == nil {
				fmt.Println(p.PID())
				select {}
			}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// However the host ends, its plugins unload and take their children along,
// those in another session, too.
func TestAPluginEndsWithItsHost(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			host := exec.Command(self(t, "").Path)
			host.Env = append(os.Environ(), "TEST_HOST=1", "TEST_MARK="+mark)
			out, err := host.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			var pid int
			if _, scanErr := fmt.Sscan(line, &pid); err != nil || scanErr != nil {
				t.Fatalf("the host said %q, %v", line, err)
			}
			cookie := instanceOf(t, pid)
			waitFor(t, "the children", func() bool { return len(proc.Survivors(cookie)) >= 4 })
			if err := host.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = host.Wait() // it was killed
			waitFor(t, "the plugin's end", func() bool { return len(proc.Survivors(cookie)) == 0 })
			if text, err := os.ReadFile(mark); err != nil || string(text) != "unloaded" {
				t.Errorf("the engine was not unloaded: %q, %v", text, err)
			}
		})
	}
}
