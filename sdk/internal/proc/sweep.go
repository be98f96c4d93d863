package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper makes orphaned descendants children of this process instead
// of init's, so that a sweep can find them.
func BecomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// sweepRounds bounds a sweep: each round kills what the one before let escape
// by forking.
const sweepRounds = 50

// Sweep kills every process that descends from root or carries the cookie, and
// buries those that were adopted by this process. It returns how many were
// found alive.
func Sweep(root int, cookie string) int {
	total := 0
	for range sweepRounds {
		alive := 0
		for _, pid := range related(root, cookie) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				alive++
			}
			bury(pid)
		}
		total += alive
		if alive == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return total
}

// bury collects a zombie that was adopted by this process. It waits for this
// pid alone: other children have owners who wait for them.
func bury(pid int) {
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
}

// Survivors lists the living processes that carry the cookie.
func Survivors(cookie string) []int {
	var alive []int
	for _, p := range processes() {
		if p.state != 'Z' && hasCookie(p.pid, cookie) {
			alive = append(alive, p.pid)
		}
	}
	return alive
}

// related lists living descendants of root, and living processes with the
// cookie, without root and this process.
func related(root int, cookie string) []int {
	all := processes()
	children := map[int][]process{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	found := map[int]bool{}
	var walk func(int)
	walk = func(pid int) {
		for _, child := range children[pid] {
			if !found[child.pid] {
				if child.state != 'Z' {
					found[child.pid] = true
				}
				walk(child.pid)
			}
		}
	}
	walk(root)
	if cookie != "" {
		for _, p := range all {
			if p.state != 'Z' && !found[p.pid] && hasCookie(p.pid, cookie) {
				found[p.pid] = true
			}
		}
	}
	delete(found, root)
	delete(found, os.Getpid())
	var pids []int
	for pid := range found {
		pids = append(pids, pid)
	}
	return pids
}

func hasCookie(pid int, cookie string) bool {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	return err == nil && bytes.Contains(environ, []byte(cookieEnv+"="+cookie))
}

type process struct {
	pid, parent int
	state       byte
}

// processes reads /proc. Processes that end meanwhile are left out.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything; fields follow the last.
		text := string(stat)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		all = append(all, process{pid: pid, parent: parent, state: fields[0][0]})
	}
	return all
}
