package result

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// mostLogBytes bounds a trial's log: a plugin that floods must not fill the
// disk.
const mostLogBytes = 64 << 20

// logWriter keeps a plugin's lines. Its Write always reports success; the
// first failure is kept and close returns it.
type logWriter struct {
	mu      sync.Mutex
	file    *os.File
	written int64
	most    int64
	failed  error
	closed  bool
}

func openLog(path string) (*logWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, writeError(path, err)
	}
	return &logWriter{file: f, most: mostLogBytes}, nil
}

// Write appends p, up to the log's limit.
func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failed != nil {
		return len(p), nil
	}
	rest := p
	if left := l.most - l.written; int64(len(rest)) > left {
		rest = rest[:left]
		l.failed = fmt.Errorf("the plugin wrote more than %d MiB of log; the rest was left out", l.most>>20)
	}
	n, err := l.file.Write(rest)
	l.written += int64(n)
	if err != nil {
		l.failed = err
	} else if l.failed != nil {
		fmt.Fprintf(l.file, "\n[%v]\n", l.failed)
	}
	return len(p), nil
}

// close returns what was lost.
func (l *logWriter) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.failed
	if syncErr := l.file.Sync(); err == nil {
		err = syncErr
	}
	return errors.Join(err, l.file.Close())
}
