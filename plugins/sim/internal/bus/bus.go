// Package bus carries the load of simulated engines to simulated sensors,
// through a file. Each line is one busy span: its begin and end in nanoseconds
// of CLOCK_MONOTONIC and the power that it adds, in mW.
//
// The two sides never guess. A writer books a span, under the file's lock, no
// further back than MostLateNs; a reader, under the same lock, takes for
// settled what lies further back. So no span can come too late to be counted.
package bus

import (
	"fmt"
	"os"
	"syscall"

	"github.com/llenergymeasure/llem/sdk"
)

// MostLateNs is how far in the past a span may begin when it is booked: more
// than a busy machine oversleeps, as a rule.
const MostLateNs = int64(200e6)

func open(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the bus %s: %w; `bus` must name a file in a directory that can be written", path, err)
	}
	return file, nil
}

// locked runs f with the file's lock held.
func locked(file *os.File, f func() error) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			return fmt.Errorf("lock the bus %s: %w", file.Name(), err)
		}
	}
	defer func() { _ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }()
	return f()
}

// Writer books busy spans. It belongs to one goroutine.
type Writer struct{ file *os.File }

// NewWriter opens the bus, and makes it if it is not there.
func NewWriter(path string) (*Writer, error) {
	file, err := open(path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	return &Writer{file: file}, nil
}

// Book adds watts for a duration from the wanted stamp on, or from the
// earliest one that is still free, and returns where the span begins.
func (w *Writer) Book(wantedNs, durationNs int64, watts float64) (beginNs int64, err error) {
	err = locked(w.file, func() error {
		beginNs = max(wantedNs, sdk.MonoNow()-MostLateNs)
		_, err := fmt.Fprintf(w.file, "%d %d %d\n", beginNs, beginNs+durationNs, int64(watts*1000+0.5))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("book a span on the bus: %w", err)
	}
	return beginNs, nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }
