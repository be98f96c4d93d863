package proc

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Family is a child that StartChild started, with its descendants, on the
// plugin's side. They are known by the tree of processes, by having been seen in
// it before, and by a mark, "NAME=value", in the environment that they inherit:
// an orphan has lost its place in the tree.
type Family struct {
	leader process
	mark   string
	seen   map[int]process
}

// NewFamily is that of the child with the given pid, not yet waited for.
func NewFamily(pid int, mark string) *Family {
	leader, err := readProcess(pid)
	if err != nil {
		leader = process{pid: pid} // gone already
	}
	return &Family{leader: leader, mark: mark, seen: map[int]process{pid: leader}}
}

// Look finds members and returns the pids of those that live. The leader is one.
func (f *Family) Look() []int {
	all := processes()
	children, now := map[int][]process{}, map[int]process{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
		now[p.pid] = p
	}
	var walk func(process)
	walk = func(p process) {
		f.seen[p.pid] = p
		for _, child := range children[p.pid] {
			if known, again := f.seen[child.pid]; !again || known.start != child.start {
				walk(child)
			}
		}
	}
	for pid, before := range f.seen {
		if p, there := now[pid]; !there || p.start != before.start {
			delete(f.seen, pid) // its pid may be somebody else's
		}
	}
	for _, p := range all {
		known, ok := f.seen[p.pid]
		if ok && known.start == p.start || p.alive() && hasEntry(p.pid, f.mark) {
			walk(p)
		}
	}
	var alive []int
	for pid := range f.seen {
		if now[pid].alive() {
			alive = append(alive, pid)
		}
	}
	return alive
}

// AwaitEnd waits until no member lives, for at most limit.
func (f *Family) AwaitEnd(ctx context.Context, limit time.Duration) {
	for deadline := time.Now().Add(limit); len(f.Look()) > 0 && ctx.Err() == nil && time.Now().Before(deadline); {
		time.Sleep(sweepPause)
	}
}

// Kill kills all members, waits for their end for at most limit, and buries those
// that this process adopted. The leader's own end is told by exited. It returns
// who is left.
func (f *Family) Kill(limit time.Duration, exited <-chan struct{}) []int {
	deadline := time.Now().Add(limit)
	left := f.Look()
	for ; len(left) > 0 && time.Now().Before(deadline); left = f.Look() {
		for _, pid := range left {
			kill(f.seen[pid])
		}
		time.Sleep(sweepPause)
	}
	select {
	case <-exited: // whoever started the leader has waited for it
	case <-time.After(time.Until(deadline)):
	}
	for pid, p := range f.seen {
		if now, err := readProcess(pid); pid != f.leader.pid && err == nil && now.start == p.start && now.parent == os.Getpid() {
			var status syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &status, unix.WNOHANG, nil)
		}
	}
	return left
}

// hasEntry tells whether a variable is in a process's environment.
func hasEntry(pid int, entry string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if string(variable) == entry {
			return true
		}
	}
	return false
}

// Descendants are, for each pid, the processes that came of it, with itself, of one look
// at the kernel's table.
func Descendants(pids []int) map[int][]int {
	children := map[int][]int{}
	for _, p := range processes() {
		children[p.parent] = append(children[p.parent], p.pid)
	}
	families := map[int][]int{}
	for _, pid := range pids {
		family := []int{pid}
		for i := 0; i < len(family); i++ {
			family = append(family, children[family[i]]...)
		}
		families[pid] = family
	}
	return families
}
