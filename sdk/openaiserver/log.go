package openaiserver

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
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

// readLog passes each line to tell and to standard error.
func readLog(pipe *os.File, tell func(string)) *log {
	l := &log{pipe: pipe, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		reader := bufio.NewReaderSize(pipe, 64<<10)
		for {
			line, err := readLine(reader)
			if line != "" {
				l.keep(line)
				// A host that is gone reads no more.
				_, _ = os.Stderr.WriteString(line + "\n")
				tell(line)
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

// readLine returns a line without its end, cut if it is very long. A bar that
// draws itself anew with carriage returns counts as lines.
func readLine(reader *bufio.Reader) (string, error) {
	var line strings.Builder
	for {
		part, err := reader.ReadSlice('\n')
		if room := keptLineLen - line.Len(); room > 0 {
			line.Write(part[:min(room, len(part))])
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		text := strings.TrimRight(line.String(), "\r\n")
		if at := strings.LastIndexByte(text, '\r'); at >= 0 {
			text = text[at+1:]
		}
		if err != nil && !errors.Is(err, io.EOF) && text == "" {
			return "", err
		}
		return text, err
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
