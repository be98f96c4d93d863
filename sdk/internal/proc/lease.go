package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/go-plugin"
)

// leases are the socket directories that this process has. Where they are
// depends on the environment, so there may be more than one; that they exist is
// a fact about the process, so they are not kept in any one Runner.
var leases = struct {
	sync.Mutex
	held map[string]*socketLease
}{held: map[string]*socketLease{}}

// socketLease keeps a directory. The kernel drops the lock when the process
// ends, which tells other hosts, in other containers, too, that it is stale.
type socketLease struct {
	lock  *os.File
	users int
}

// lease makes the directory and locks it, or counts one more user of it.
func lease(dir string) error {
	leases.Lock()
	defer leases.Unlock()
	if l := leases.held[dir]; l != nil {
		if sameFile(l.lock, dir) {
			l.users++
			return nil
		}
		// Somebody has tidied up.
		l.lock.Close()
		delete(leases.held, dir)
	}
	// Between making and locking another host may take it for stale.
	for range 3 {
		if err := ownDir(dir); err != nil {
			return err
		}
		lock, err := lockDir(dir)
		if err != nil {
			return fmt.Errorf("lock %s: %w", dir, err)
		}
		if sameFile(lock, dir) {
			leases.held[dir] = &socketLease{lock: lock, users: 1}
			return nil
		}
		lock.Close()
	}
	return fmt.Errorf("%s is removed as soon as it is made", dir)
}

func sameFile(open *os.File, path string) bool {
	a, err := open.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// lockDir locks a directory that nobody has locked.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// releaseSocketDir removes the directory that the transport made for one
// plugin, named in the plugin's environment, and the process's own with the
// last of them.
func releaseSocketDir(env []string) {
	var dir string
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, plugin.EnvUnixSocketDir+"="); ok {
			dir = value
		}
	}
	parent := filepath.Dir(dir)
	leases.Lock()
	defer leases.Unlock()
	l := leases.held[parent]
	if l == nil || dir == "" {
		return
	}
	// What cannot be removed is found stale by the next host.
	_ = os.RemoveAll(dir)
	l.users--
	if l.users <= 0 && os.Remove(parent) == nil {
		l.lock.Close()
		delete(leases.held, parent)
	}
}

// hostName names this process for ever, other than its pid alone.
func hostName() (string, error) {
	start, err := startTime(os.Getpid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d-%d", os.Getpid(), start), nil
}

// removeStale removes directories of hosts that are dead: no process has the
// name, and nobody holds the lock. The lock decides where process ids mean
// nothing, as between containers that share /tmp.
func removeStale(base, own string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if entry.Name() == own || !entry.IsDir() || lives(entry.Name()) {
			continue
		}
		dir := filepath.Join(base, entry.Name())
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		// What cannot be removed now stays for the next host.
		_ = os.RemoveAll(dir)
		lock.Close()
	}
}

// lives tells whether the process that a directory is named after is there. A
// name of another form is nobody's to remove.
func lives(name string) bool {
	pidText, startText, ok := strings.Cut(name, "-")
	pid, pidErr := strconv.Atoi(pidText)
	want, startErr := strconv.ParseUint(startText, 10, 64)
	if !ok || pidErr != nil || startErr != nil {
		return true
	}
	start, err := startTime(pid)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	return err != nil || start == want
}
