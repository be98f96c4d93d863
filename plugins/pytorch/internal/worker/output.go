package worker

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

const (
	keptLines    = 20
	longestLine  = 4 << 10
	mostLogBytes = 1 << 20 // of one load's output that goes to the trial's log
)

// output reads what the worker prints, on either stream, until its end. Nothing
// that it prints can hold it up or fill a disk: beyond a bound it is counted,
// and the last lines are kept for the report of a crash.
type output struct {
	log    io.Writer
	prefix string // of its lines in the log

	mu     sync.Mutex
	last   []string
	logged int
	lost   int64
	done   chan struct{}
}

func readOutput(r io.Reader, log io.Writer, prefix string) *output {
	o := &output{log: log, prefix: prefix, done: make(chan struct{})}
	go o.read(r)
	return o
}

func (o *output) read(r io.Reader) {
	defer close(o.done)
	buffer := make([]byte, 64<<10)
	var line []byte
	for {
		n, err := r.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			end := bytes.IndexAny(rest, "\r\n")
			if end < 0 {
				line = appendBounded(line, rest)
				break
			}
			line = appendBounded(line, rest[:end])
			o.take(line)
			line, rest = line[:0], rest[end+1:]
		}
		if err != nil {
			o.take(line)
			o.closing()
			return
		}
	}
}

func appendBounded(line, more []byte) []byte {
	return append(line, more[:min(len(more), max(0, longestLine-len(line)))]...)
}

func (o *output) take(line []byte) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	text := redact(string(line))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = append(o.last, text)
	if len(o.last) > keptLines {
		o.last = o.last[1:]
	}
	if o.logged+len(text) > mostLogBytes {
		o.lost += int64(len(text)) + 1
		return
	}
	o.logged += len(text) + 1
	// A log that cannot be written is no reason to stop measuring.
	_, _ = fmt.Fprintln(o.log, o.prefix+text)
}

func (o *output) closing() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		_, _ = fmt.Fprintf(o.log, "%s(%d more bytes of the worker's output are not in this log)\n", o.prefix, o.lost)
	}
}

// tail returns the last lines.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.last, "\n")
}

var tokens = regexp.MustCompile(`hf_[A-Za-z0-9]{16,}`)

// redact takes access tokens of the hub out of a text.
func redact(text string) string {
	text = tokens.ReplaceAllString(text, "hf_***")
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if value := os.Getenv(name); len(value) >= 8 {
			text = strings.ReplaceAll(text, value, "***")
		}
	}
	return text
}
