package proc

import (
	"errors"
	"maps"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper makes orphaned descendants children of this process instead
// of init's, so that a sweep can find them.
func BecomeSubreaper() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// Bounds of a sweep. Several rounds are the rule: a killed process takes a
// moment to go, and may have forked in the last one.
const (
	sweepLimit = 500 * time.Millisecond
	sweepPause = 2 * time.Millisecond
	// ownerPause is how long the owner of an own child has to wait for it
	// before a sweep does.
	ownerPause = 20 * time.Millisecond
)

// Sweep kills every process that descends from root, is in another root's
// process group, or carries the cookie ("" = none), except root and this
// process, and buries those that this process adopted. It returns how many it found alive and which
// of them are still there after half a second, in the kernel's hands.
//
// Of all children of this process it waits for none but those that it killed.
// With root = this process, those may have an owner, an exec.Cmd in Wait, who
// is given the time to wait for them first.
func Sweep(root int, cookie string) (found int, left []int) {
	return sweep(root, cookie, map[int]process{}, func() {})
}

// sweep adds those whom it sees to seen, and treats those who are in it as
// root's. It calls strike after the first look around: killing the root breaks
// the tree by which its descendants are known.
func sweep(root int, cookie string, seen map[int]process, strike func()) (found int, left []int) {
	for deadline := time.Now().Add(sweepLimit); ; time.Sleep(sweepPause) {
		left = nil
		for _, p := range related(root, cookie, seen) {
			seen[p.pid] = p
			if p.alive() {
				left = append(left, p.pid)
			}
		}
		strike()
		strike = func() {}
		for _, pid := range left {
			kill(seen[pid])
		}
		if len(left) == 0 || time.Now().After(deadline) {
			break
		}
		found = max(found, len(left))
	}
	if root == os.Getpid() && len(seen) > 0 {
		time.Sleep(ownerPause)
	}
	bury(root, seen)
	return found, left
}

// kill ends this very process, and not another that got its pid meanwhile.
func kill(p process) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		if errors.Is(err, unix.ENOSYS) {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
		return
	}
	defer unix.Close(fd)
	// The descriptor holds whoever has the pid now: is it still the same?
	if start, err := startTime(p.pid); err == nil && start == p.start {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// bury collects the dead that this process adopted, and waits a little for
// those to come that are still held by their last threads, or by a dying parent.
// It does nothing for other processes' children and for living ones.
func bury(root int, seen map[int]process) {
	pending := maps.Clone(seen)
	for deadline := time.Now().Add(sweepLimit); ; time.Sleep(sweepPause) {
		for pid, p := range pending {
			now, err := readProcess(pid)
			_, family := seen[now.parent]
			switch {
			case err != nil, now.start != p.start, now.alive():
				delete(pending, pid)
			case now.parent == os.Getpid():
				var status syscall.WaitStatus
				if got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); got == pid || errors.Is(err, syscall.ECHILD) {
					delete(pending, pid)
				}
			case !family && now.parent != root:
				delete(pending, pid) // somebody else's
			}
		}
		if len(pending) == 0 || time.Now().After(deadline) {
			return
		}
	}
}

// awaitDeath blocks until the child is a zombie and leaves it one, so that its
// pid, and with it its group, cannot become somebody else's.
func awaitDeath(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Survivors lists the living processes that carry the cookie.
func Survivors(cookie string) []int {
	var alive []int
	for _, p := range processes() {
		if p.alive() && hasCookie(p.pid, cookie) {
			alive = append(alive, p.pid)
		}
	}
	return alive
}

// related lists what belongs to root, zombies included, without root and this
// process. Who was seen once still has descendants when root is gone.
func related(root int, cookie string, seen map[int]process) []process {
	all := processes()
	children := map[int][]process{}
	var since uint64
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
		if p.pid == root {
			since = p.start
		}
	}
	found := map[int]process{}
	var walk func(int)
	walk = func(pid int) {
		for _, child := range children[pid] {
			if _, again := found[child.pid]; !again {
				found[child.pid] = child
				walk(child.pid)
			}
		}
	}
	walk(root)
	for _, p := range all {
		if p.start < since {
			continue // older than root: no descendant
		}
		before, known := seen[p.pid]
		switch {
		case known && before.start == p.start,
			// A plugin's own group may be a shell's pipeline, if it was
			// started by hand; the host's plugins never are in one.
			p.group == root && root != os.Getpid(),
			cookie != "" && p.alive() && hasCookie(p.pid, cookie):
			found[p.pid] = p
			walk(p.pid)
		}
	}
	delete(found, root)
	delete(found, os.Getpid())
	var list []process
	for _, p := range found {
		list = append(list, p)
	}
	return list
}
