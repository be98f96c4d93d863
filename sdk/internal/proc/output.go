package proc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

// stderrReader hands the transport the plugin's standard error and keeps a
// copy of all that passes.
type stderrReader struct {
	*os.File
	copies io.Writer
}

func (s stderrReader) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	// The writers of this package cannot fail.
	_, _ = s.copies.Write(p[:n])
	return n, ended(err)
}

// stdoutReader hands the transport the first line, in which it looks for the
// handshake, and swallows the rest. The transport stops reading at a line of
// 64 KiB (a progress bar is one), and from then on the plugin would block in
// its next print. What is swallowed is kept with the other output.
type stdoutReader struct {
	*os.File
	head  *head
	stray io.Writer
	// shaken: the first line has passed.
	shaken *bool
}

func (s stdoutReader) Read(p []byte) (int, error) {
	for {
		n, err := s.File.Read(p)
		_, _ = s.head.Write(p[:n])
		pass := n
		if *s.shaken {
			pass = 0
		} else if end := bytes.IndexByte(p[:n], '\n'); end >= 0 {
			*s.shaken = true
			pass = end + 1
		}
		_, _ = s.stray.Write(p[pass:n])
		if pass > 0 || err != nil {
			return pass, ended(err)
		}
	}
}

// ended turns the closing of a dead plugin's pipe into its ordinary end.
func ended(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return io.EOF
	}
	return err
}

// rawLog takes both streams. It hides the errors of a log file: a full disk
// must not block the plugin.
type rawLog struct {
	mu sync.Mutex
	w  io.Writer // nil: nobody wants it
}

func (l *rawLog) Write(p []byte) (int, error) {
	if l.w == nil {
		return len(p), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(p)
	return len(p), nil
}
