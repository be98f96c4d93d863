package proc

import (
	"bytes"
	"fmt"
	"sync"
)

// Bounds of what is kept of a plugin's output.
const (
	tailLines   = 200
	tailBytes   = 1 << 20
	tailLineLen = 64 << 10
	headBytes   = 4096
)

// tail keeps the last lines of a plugin's output streams: the last tailLines
// lines, fewer if they exceed tailBytes together.
type tail struct {
	mu      sync.Mutex
	lines   []string
	bytes   int
	streams []*stream
}

// stream is one source of a tail's lines. The unfinished line of one stream
// never mixes with another's.
type stream struct {
	tail    *tail
	prefix  string
	partial []byte
	cut     int // bytes of the unfinished line that were not kept
}

// stream adds a source. Each of its lines is kept with prefix in front.
func (t *tail) stream(prefix string) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &stream{tail: t, prefix: prefix}
	t.streams = append(t.streams, s)
	return s
}

// Write takes output in any pieces. It never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			s.grow(rest)
			break
		}
		s.grow(rest[:end])
		s.tail.push(s.line())
		s.partial, s.cut = s.partial[:0], 0
		rest = rest[end+1:]
	}
	return len(p), nil
}

func (s *stream) grow(p []byte) {
	kept := min(len(p), tailLineLen-len(s.partial))
	s.partial = append(s.partial, p[:kept]...)
	s.cut += len(p) - kept
}

func (s *stream) line() string {
	line := s.prefix + string(s.partial)
	if s.cut > 0 {
		line += fmt.Sprintf(" [%d bytes more]", s.cut)
	}
	return line
}

func (t *tail) push(line string) {
	t.lines = append(t.lines, line)
	t.bytes += len(line)
	drop := 0
	for len(t.lines)-drop > tailLines || t.bytes > tailBytes {
		t.bytes -= len(t.lines[drop])
		drop++
	}
	t.lines = append(t.lines[:0], t.lines[drop:]...)
}

// Lines returns the kept lines, oldest first, with the unfinished ones last.
func (t *tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	for _, s := range t.streams {
		if len(s.partial) > 0 {
			lines = append(lines, s.line())
		}
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
