package openaiserver

import (
	"bufio"
	"os"
	"sync"
	"time"
)

// Bounds of what is kept of a server's log: its last lines, for the message when
// it dies. All of it goes to the trial's log.
const (
	keptLines   = 400
	keptLineLen = 4096
)

// log reads a server's output to its end.
type log struct {
	pipe *os.File
	done chan struct{}

	mu    sync.Mutex
	lines []string
}

// readLog passes each line to tell and to standard error. A bar that draws itself anew
// with carriage returns is told each time, since its first look is where a stage begins,
// and is kept and printed as it looked last.
func readLog(pipe *os.File, tell func(string)) *log {
	l := &log{pipe: pipe, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		reader := bufio.NewReaderSize(pipe, 64<<10)
		drawn := "" // what the next look, or the line's end, comes after
		for {
			text, end, err := readPart(reader)
			if text != "" {
				tell(text)
				drawn = text
			}
			if end != '\r' && drawn != "" {
				l.keep(drawn)
				// A host that is gone reads no more.
				_, _ = os.Stderr.WriteString(drawn + "\n")
				drawn = ""
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

// readPart returns what stands before the next line end or carriage return, cut if it
// is very long, and which of the two it was.
func readPart(reader *bufio.Reader) (text string, end byte, err error) {
	var part []byte
	for {
		b, err := reader.ReadByte()
		if err != nil || b == '\n' || b == '\r' {
			return string(part), b, err
		}
		if len(part) < keptLineLen {
			part = append(part, b)
		}
	}
}

func (l *log) keep(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if len(l.lines) > 2*keptLines {
		l.lines = append(l.lines[:0], l.lines[keptLines:]...)
	}
}

// tail returns the lines kept, oldest first.
func (l *log) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// lastWords is how long the rest of a dead server's output may take to arrive. Who
// outlives it may hold its pipe.
const lastWords = time.Second

func (l *log) settle() {
	select {
	case <-l.done:
	case <-time.After(lastWords):
	}
}

func (l *log) close() {
	l.settle()
	l.pipe.Close()
}
