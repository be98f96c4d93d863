//go:build linux

package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// However a host ends, nobody survives it.
func TestNobodySurvivesTheHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, host string
		signal     syscall.Signal
		group      bool // to the host's group, as a terminal does
		orderly    bool // the host ends the plugin and exits with 0
	}{
		{name: "SIGKILL", signal: syscall.SIGKILL},
		{name: "SIGTERM", signal: syscall.SIGTERM},
		{name: "SIGQUIT", signal: syscall.SIGQUIT},
		{name: "SIGHUP to the group", signal: syscall.SIGHUP, group: true},
		{name: "SIGINT to the group", signal: syscall.SIGINT, group: true},
		{name: "SIGINT to the group, trapped", host: "trap", signal: syscall.SIGINT, group: true, orderly: true},
		{name: "SIGTERM, trapped", host: "trap", signal: syscall.SIGTERM, orderly: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, entry := newFamily(t)
			host := startHost(t, c.host, entry)
			waitFor(t, "the family", func() bool { return len(members(dir)) == 1+family })
			cookie := cookieOf(t, members(dir), host.Process.Pid)
			// One hides it, and has its parent's until it has come to its own program.
			waitFor(t, "the one that hides the cookie", func() bool { return len(Survivors(cookie)) == family-1 })
			pid := host.Process.Pid
			if c.group {
				pid = -pid
			}
			if err := syscall.Kill(pid, c.signal); err != nil {
				t.Fatal(err)
			}
			if err := host.Wait(); (err == nil) != c.orderly {
				t.Errorf("the host's end: %v", err)
			}
			waitFor(t, "the family's end", func() bool { return len(members(dir)) == 0 })
			if left := Survivors(cookie); len(left) != 0 {
				t.Errorf("survivors with the cookie: %v", left)
			}
			if _, err := os.Stat(filepath.Join(dir, "onDeath")); (err == nil) == c.orderly {
				t.Errorf("the clean-up for a dead host ran: %v", err == nil)
			}
		})
	}
}

// startHost starts a host that leads a session, as one under a terminal does.
func startHost(t *testing.T, how, entry string) *exec.Cmd {
	t.Helper()
	host := exec.Command(self("").Path)
	host.Env = append(os.Environ(), roleEnv+"=host:"+how, entry)
	host.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	return host
}

// cookieOf finds the cookie of the one plugin in a family.
func cookieOf(t *testing.T, pids []int, host int) string {
	t.Helper()
	for _, pid := range pids {
		environ, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "environ"))
		if err != nil || pid == host {
			continue
		}
		for entry := range strings.SplitSeq(string(environ), "\x00") {
			if cookie, ok := strings.CutPrefix(entry, cookieEnv+"="); ok {
				return cookie
			}
		}
	}
	t.Fatal("nobody has a cookie")
	return ""
}

// A log line on a broken pipe must not end the plugin before its clean-up.
func TestALogLineDoesNotStopTheCleanUp(t *testing.T) {
	t.Parallel()
	dir, entry := newFamily(t)
	command := self("plugin:chatty,session")
	command.Env = append(command.Env, entry, handshake.MagicCookieKey+"="+handshake.MagicCookieValue)
	r, err := NewRunner(command, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the family", func() bool { return len(members(dir)) == 3 })
	// What the kernel does to a dead host.
	r.stderr.Close()
	r.stdout.Close()
	r.lifeline.Close()
	<-r.Exited()
	if _, signal, ok := r.ExitState(); !ok || signal != "killed" {
		t.Errorf("ended by %q", signal)
	}
	if _, err := os.Stat(filepath.Join(dir, "onDeath")); err != nil {
		t.Errorf("the clean-up did not run: %v", err)
	}
}

// A stopped plugin cannot see its host die. The kernel wakes it, because its
// group has nobody left who could.
func TestAStoppedPluginDoesNotSurviveTheHost(t *testing.T) {
	t.Parallel()
	dir, entry := newFamily(t)
	host := startHost(t, "", entry)
	waitFor(t, "the family", func() bool { return len(members(dir)) == 1+family })
	var plugin int
	for _, p := range processes() {
		if p.parent == host.Process.Pid {
			plugin = p.pid
		}
	}
	if err := syscall.Kill(plugin, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitStop(t, plugin)
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	waitFor(t, "the family's end", func() bool { return len(members(dir)) == 0 })
}

// awaitStop waits until each thread of a process has stopped: before that it may still
// answer, and the kernel does not wake it when it loses its parent.
func awaitStop(t *testing.T, pid int) {
	t.Helper()
	waitFor(t, "the stop", func() bool {
		threads, err := filepath.Glob(filepath.Join("/proc", itoa(pid), "task", "*", "stat"))
		return err == nil && len(threads) > 0 && !slices.ContainsFunc(threads, func(path string) bool {
			text, err := os.ReadFile(path)
			return err != nil || !strings.Contains(string(text), ") T ")
		})
	})
}

// A plugin that dies takes along all but those who hide.
func TestNobodySurvivesThePlugin(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	client, r := startPlugin(t, dir, "orphan,group,session")
	waitFor(t, "the family", func() bool { return len(members(dir)) == family-1 })
	before := members(dir)
	if err := syscall.Kill(r.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Exited()
	if left := members(dir); len(left) != 0 {
		t.Errorf("survivors: %v", left)
	}
	if code, signal, ok := r.ExitState(); code != -1 || signal != "killed" || !ok {
		t.Errorf("exit state %d %q %v", code, signal, ok)
	}
	waitFor(t, "the transport to notice", client.Exited)
	waitFor(t, "the zombies' burial", func() bool {
		return !slices.ContainsFunc(processes(), func(p process) bool { return slices.Contains(before, p.pid) })
	})
}

// A plugin that is killed while it lives takes along even those who hide, and
// leaves other children of the host and their owners alone.
func TestKillTakesTheHiddenAlong(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	_, r := startPlugin(t, dir, strings.Join(relatives, ","))
	waitFor(t, "the family", func() bool { return len(members(dir)) == family })
	if holders := holdersOfLifeline(t, r.PID(), members(dir)); !slices.Equal(holders, []int{r.PID()}) {
		t.Errorf("the lifeline is held by %v, want %d only", holders, r.PID())
	}
	bystander := exec.Command("sleep", "60")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := r.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > killWait {
		t.Errorf("it took %v", took)
	}
	if left := members(dir); len(left) != 0 {
		t.Errorf("survivors: %v", left)
	}
	if err := bystander.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("the bystander: %v", err)
	}
	if err := bystander.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("the bystander's end: %v", err)
	}
}

// holdersOfLifeline lists who has the plugin's end of the pipe open.
func holdersOfLifeline(t *testing.T, plugin int, pids []int) []int {
	t.Helper()
	lifeline, err := os.Readlink(filepath.Join("/proc", itoa(plugin), "fd", itoa(lifelineFD)))
	if err != nil {
		t.Fatal(err)
	}
	var holders []int
	for _, pid := range pids {
		open, err := filepath.Glob(filepath.Join("/proc", itoa(pid), "fd", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range open {
			if link, err := os.Readlink(fd); err == nil && link == lifeline {
				holders = append(holders, pid)
			}
		}
	}
	return holders
}

func TestAStoppedPluginIsGoneInFourSeconds(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	client, r := startPlugin(t, dir, strings.Join(relatives, ","))
	waitFor(t, "the family", func() bool { return len(members(dir)) == family })
	if err := syscall.Kill(r.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitStop(t, r.PID())
	begin := time.Now()
	if err := EndClient(t.Context(), client, r); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took < politeLimit || took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if left := members(dir); len(left) != 0 {
		t.Errorf("survivors: %v", left)
	}
}

// Whoever holds the plugin's output must not make it look alive.
func TestAHeldPipeDelaysNothing(t *testing.T) {
	t.Parallel()
	dir, _ := newFamily(t)
	client, r := startPlugin(t, dir, "holder")
	waitFor(t, "the family", func() bool { return len(members(dir)) == 2 })
	var holder int
	for _, pid := range members(dir) {
		if pid != r.PID() {
			holder = pid
		}
	}
	begin := time.Now()
	// The crash of a plugin whose descendant hides: the hole in all marks.
	if err := syscall.Kill(r.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Exited()
	waitFor(t, "the transport to notice", client.Exited)
	if err := EndClient(t.Context(), client, r); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > killWait {
		t.Errorf("it took %v", took)
	}
	if err := syscall.Kill(holder, syscall.SIGKILL); err == nil {
		_, _ = syscall.Wait4(holder, nil, 0, nil)
	}
}

func TestSweepLeavesOwnersTheirChildren(t *testing.T) {
	t.Parallel()
	_, entry := newFamily(t)
	sweeper := exec.Command(self("").Path)
	sweeper.Env = append(os.Environ(), roleEnv+"=sweeper", entry)
	out, err := sweeper.CombinedOutput()
	if want := "found 2 left [] wait: signal: killed"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}
