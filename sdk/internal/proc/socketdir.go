package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// longestSocketPath is what the kernel takes as the path of a socket: 108
// bytes with the zero at the end.
const longestSocketPath = 107

// transportPath is the longest path that the transport adds: a directory and a
// file with 32-bit random numbers in their names.
const transportPath = len("/plugin-dir4294967295/plugin4294967295")

// SocketDir returns a short directory for sockets that only this user can
// enter: in $XDG_RUNTIME_DIR, in /tmp, or in the temporary directory, whichever
// fits first. It is this process's own, and is removed when each of its calls
// has met the end of a Runner whose sockets were in it. What dead hosts left
// behind is removed on the way.
func SocketDir() (string, error) {
	user := fmt.Sprintf("llem-%d", os.Getuid())
	candidates := []string{filepath.Join("/tmp", user), filepath.Join(os.TempDir(), user)}
	if runtimeDir := os.Getenv("XDG_RUNTIME_DIR"); runtimeDir != "" {
		candidates = append([]string{filepath.Join(runtimeDir, "llem")}, candidates...)
	}
	own, err := hostName()
	if err != nil {
		return "", fmt.Errorf("find a directory for plugin sockets: %w", err)
	}
	var refusals []string
	for _, base := range candidates {
		dir, err := socketDirIn(base, own)
		if err == nil {
			return dir, nil
		}
		refusals = append(refusals, err.Error())
	}
	return "", fmt.Errorf("find a directory for plugin sockets: %s; set XDG_RUNTIME_DIR to a short directory of your own", strings.Join(refusals, "; "))
}

// socketDirIn makes this process's directory, named own, below base.
func socketDirIn(base, own string) (string, error) {
	dir := filepath.Join(base, own)
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s is not an absolute path", base)
	}
	if path := len(dir) + transportPath; path > longestSocketPath {
		return "", fmt.Errorf("%s is too long: its sockets' paths would have %d characters, and %d are possible", base, path, longestSocketPath)
	}
	if err := ownDir(base); err != nil {
		return "", err
	}
	removeStale(base, own)
	if err := lease(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// ownDir makes the directory, if need be, and checks that it is a directory, no
// link to one, that nobody else owns or may enter.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case !ok || int(stat.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to somebody else", dir)
	case info.Mode().Perm() != 0o700:
		return os.Chmod(dir, 0o700)
	}
	return nil
}
