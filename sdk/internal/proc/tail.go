package proc

import (
	"bytes"
	"sync"
)

// Bounds of what is kept of a plugin's output.
const (
	tailLines   = 200
	tailLineLen = 4096
	headBytes   = 4096
)

// Tail keeps the last lines written to it, each cut to a sane length.
type Tail struct {
	mu      sync.Mutex
	lines   []string
	partial []byte
}

func newTail() *Tail { return &Tail{} }

// Write takes output in any pieces. It never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			t.grow(rest)
			break
		}
		t.grow(rest[:end])
		t.push()
		rest = rest[end+1:]
	}
	return len(p), nil
}

func (t *Tail) grow(p []byte) {
	if room := tailLineLen - len(t.partial); len(p) > room {
		p = p[:room]
	}
	t.partial = append(t.partial, p...)
}

func (t *Tail) push() {
	t.lines = append(t.lines, string(t.partial))
	t.partial = t.partial[:0]
	if len(t.lines) > tailLines {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-tailLines:]...)
	}
}

// Lines returns the kept lines, oldest first, with an unfinished last one.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	if len(t.partial) > 0 {
		lines = append(lines, string(t.partial))
	}
	return lines
}

// head keeps the first bytes written to it.
type head struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := headBytes - len(h.kept); room > 0 {
		h.kept = append(h.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.kept)
}
