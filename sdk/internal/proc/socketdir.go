package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// longestSocketDir leaves room, within the 107 characters that the kernel
// allows for a socket's path, for the directory and file that the transport
// adds ("/plugin-dir1234567890/plugin1234567890").
const longestSocketDir = 107 - 46

// SocketDir returns a short directory for sockets that only this user can
// enter: in $XDG_RUNTIME_DIR, in /tmp, or in the temporary directory, whichever
// fits first. It makes the directory if need be.
func SocketDir() (string, error) {
	var refusals []string
	candidates := []string{
		filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "llem"),
		fmt.Sprintf("/tmp/llem-%d", os.Getuid()),
		filepath.Join(os.TempDir(), fmt.Sprintf("llem-%d", os.Getuid())),
	}
	for i, dir := range candidates {
		if i == 0 && os.Getenv("XDG_RUNTIME_DIR") == "" {
			continue
		}
		if err := useSocketDir(dir); err != nil {
			refusals = append(refusals, err.Error())
			continue
		}
		return dir, nil
	}
	return "", fmt.Errorf("find a directory for plugin sockets: %s; set XDG_RUNTIME_DIR to a short directory of your own", strings.Join(refusals, "; "))
}

func useSocketDir(dir string) error {
	if len(dir) > longestSocketDir {
		return fmt.Errorf("%s is too long for a socket (%d characters, %d at most)", dir, len(dir), longestSocketDir)
	}
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
