//go:build linux

package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func unwrapAll(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		if _, ok := err.(*os.PathError); ok { //nolint:errorlint // this walks the chain itself
			break
		}
		err = next
	}
	return err
}

// short makes a directory that sockets fit into; t.TempDir is not.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestALongTemporaryDirectoryWorks(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 105))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	t.Setenv("XDG_RUNTIME_DIR", long)
	dir, _ := newFamily(t)
	client, r := startPlugin(t, dir, "")
	if err := EndClient(t.Context(), client, r); err != nil {
		t.Error(err)
	}
}

// The longest directory that is taken holds a socket of the longest name.
func TestTheLimitIsTheKernels(t *testing.T) {
	base := short(t)
	for n := 1; ; n++ {
		dir, err := socketDirIn(base+strings.Repeat("x", n), "1-2")
		if err != nil {
			if !strings.Contains(err.Error(), "its sockets' paths would have 108 characters, and 107 are possible") {
				t.Error(err)
			}
			return
		}
		defer os.RemoveAll(filepath.Dir(dir))
		parent := filepath.Join(dir, "plugin-dir4294967295")
		if err := os.Mkdir(parent, 0o700); err != nil {
			t.Fatal(err)
		}
		socket, err := net.Listen("unix", filepath.Join(parent, "plugin4294967295"))
		if err != nil {
			t.Fatal(err)
		}
		socket.Close()
	}
}

func TestOnlyAnOwnDirectoryIsTaken(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	base := short(t)
	link := filepath.Join(base, "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := "/" // root's, for everybody but root
	if os.Getuid() == 0 {
		foreign = filepath.Join(base, "foreign")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, want string }{
		{link, link + " is no directory"},
		{file, file + " is no directory"},
		{foreign, foreign + " belongs to somebody else"},
		{"relative", "relative is not an absolute path"},
		{"/proc/none", "mkdir /proc/none: no such file or directory"},
	} {
		if _, err := socketDirIn(c.dir, "1-2"); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", c.dir, err, c.want)
		}
	}
	if _, err := socketDirIn(open, "1-2"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(open); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("an open directory of one's own stays open: %v %v", info.Mode(), err)
	}
}

// Directories of the dead go, those of the living stay, and so does what this
// package did not make.
func TestStaleDirectoriesAreRemoved(t *testing.T) {
	base := short(t)
	dead := exec.Command("/bin/true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	parent, err := startTime(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	mkdir := func(format string, args ...any) string {
		dir := filepath.Join(base, fmt.Sprintf(format, args...))
		if err := os.MkdirAll(filepath.Join(dir, "plugin-dir1"), 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	gone := []string{
		mkdir("%d-%d", dead.Process.Pid, 77),
		mkdir("%d-%d", os.Getppid(), parent+1), // its pid is used again
	}
	kept := []string{
		mkdir("%d-%d", os.Getppid(), parent),
		mkdir("something else"),
		mkdir("%d-%d", dead.Process.Pid, 78), // in another container
	}
	lock, err := lockDir(kept[2])
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := socketDirIn(base, "1-2"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range gone {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
	for _, dir := range kept {
		if _, err := os.Stat(filepath.Join(dir, "plugin-dir1")); err != nil {
			t.Error(err)
		}
	}
}

// Two plugins share the process's directory; the last one's end removes it.
func TestTheLastPluginRemovesTheDirectory(t *testing.T) {
	base := short(t)
	t.Setenv("XDG_RUNTIME_DIR", base)
	dir, _ := newFamily(t)
	first, r1 := startPlugin(t, dir, "")
	second, r2 := startPlugin(t, dir, "")
	sockets := func() int {
		found, err := filepath.Glob(filepath.Join(base, "llem", "*", "plugin-dir*", "plugin*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := sockets(); n != 2 {
		t.Errorf("%d sockets", n)
	}
	// Not in order: nobody but the runner tidies up.
	if err := r1.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	if n := sockets(); n != 1 {
		t.Errorf("%d sockets after the first end", n)
	}
	if err := EndClient(context.Background(), second, r2); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(base, "llem", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	first.Kill()
	// And it can be made again.
	_, r3 := startPlugin(t, dir, "")
	if err := syscall.Kill(r3.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r3.Exited()
	if left, _ := filepath.Glob(filepath.Join(base, "llem", "*")); len(left) != 0 {
		t.Errorf("left behind by a crash: %v", left)
	}
}
