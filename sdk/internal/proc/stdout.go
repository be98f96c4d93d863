package proc

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// GuardStdout, on the plugin's side and after the handshake, points file
// descriptor 1 at the real standard error, and os.Stdout and os.Stderr at
// stderr, which is the file of descriptor 2. Otherwise a C library's print
// blocks once the pipe behind descriptor 1 is full and nobody reads it, and the
// transport's replacements of Go's two files, pipes that go through a
// connection, lose the last words of a process that dies.
//
// The transport writes the handshake and replaces the two files right after
// it, so the first call that arrives is the time for this.
func GuardStdout(stderr *os.File) error {
	if err := unix.Dup2(2, 1); err != nil {
		return fmt.Errorf("point standard output at standard error: %w", err)
	}
	os.Stdout, os.Stderr = stderr, stderr
	return nil
}
