package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// head is what matters of the head of an HTTP/1.1 answer.
type head struct {
	status     int
	length     int64 // -1 = not given
	chunked    bool
	close      bool
	sse        bool
	retryAfter string
}

// mostHeadBytes is more than any of the servers' own limits.
const mostHeadBytes = 64 << 10

var errHead = errors.New("the answer does not begin with an HTTP/1.1 head")

// heads remembers the head of the answer before: a server's heads are the same
// for a second or for ever.
type heads struct {
	text []byte
	head head
}

// parse is parseHead.
func (m *heads) parse(b []byte) (h head, used int, err error) {
	if n := len(m.text); n > 0 && len(b) >= n && string(b[:n]) == string(m.text) {
		return m.head, n, nil
	}
	if h, used, err = parseHead(b); err == nil && used > 0 {
		m.text, m.head = append(m.text[:0], b[:used]...), h
	}
	return h, used, err
}

// parseHead reads the head at the start of b; used is 0 while it is incomplete.
// Interim answers (1xx) are to be skipped by the caller.
func parseHead(b []byte) (h head, used int, err error) {
	end, gap := bytes.Index(b, []byte("\r\n\r\n")), 4
	if end < 0 {
		if end, gap = bytes.Index(b, []byte("\n\n")), 2; end < 0 {
			if len(b) > mostHeadBytes || len(b) >= 5 && !bytes.HasPrefix(b, []byte("HTTP/")) {
				return h, 0, errHead
			}
			return h, 0, nil
		}
	}
	h.length = -1
	for rest, first := b[:end], true; len(rest) > 0; first = false {
		line := rest
		if at := bytes.IndexByte(rest, '\n'); at >= 0 {
			line, rest = rest[:at], rest[at+1:]
		} else {
			rest = nil
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if !first {
			if err := h.field(line); err != nil {
				return h, 0, err
			}
			continue
		}
		// HTTP/1.1 200 OK
		if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
			return h, 0, errHead
		}
		h.close = line[7] == '0'
		if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
			return h, 0, errHead
		}
	}
	return h, end + gap, nil
}

func (h *head) field(line []byte) error {
	at := bytes.IndexByte(line, ':')
	if at < 0 {
		return nil
	}
	// Most fields are of no interest; their lengths tell.
	name, value := line[:at], line[at+1:]
	switch len(name) {
	case len("connection"), len("retry-after"), len("content-type"), len("content-length"), len("transfer-encoding"):
		value = bytes.TrimSpace(value)
	default:
		return nil
	}
	is := func(what string) bool { return len(name) == len(what) && strings.EqualFold(string(name), what) }
	has := func(what string) bool { return strings.Contains(strings.ToLower(string(value)), what) }
	switch {
	case is("content-length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("the answer's Content-Length is %q", value)
		}
		h.length = n
	case is("transfer-encoding"):
		h.chunked = has("chunked")
	case is("connection"):
		h.close = has("close") || h.close && !has("keep-alive")
	case is("content-type"):
		h.sse = has("text/event-stream")
	case is("retry-after"):
		h.retryAfter = string(value)
	}
	return nil
}

// framing finds the payload and the end of a body, a few bytes at a time. It is
// run twice over each answer: while bytes arrive, for the end only, and when
// they are decoded.
type framing struct {
	state  frameState
	remain int64
	digits int
}

type frameState uint8

const (
	frameLength  frameState = iota // remain bytes to come
	frameSize                      // in a chunk's size
	frameExt                       // behind it, in what is ignored
	frameData                      // remain bytes of a chunk to come
	frameDataEnd                   // the line end behind a chunk
	frameTrailer                   // at the start of a trailer line
	frameTrailerText
	frameUntilEOF
	frameDone
)

var errChunk = errors.New("the answer's chunked encoding is broken")

func newFraming(h head) framing {
	switch {
	case h.chunked:
		return framing{state: frameSize}
	case h.length == 0, h.status == 204, h.status == 304:
		return framing{state: frameDone}
	case h.length > 0:
		return framing{state: frameLength, remain: h.length}
	}
	return framing{state: frameUntilEOF}
}

// done tells that the body is complete.
func (f *framing) done() bool { return f.state == frameDone }

// atEOF tells whether the body may end where the connection does.
func (f *framing) atEOF() bool { return f.state == frameDone || f.state == frameUntilEOF }

// next takes used bytes from the front of p, up to and with one piece of
// payload. It is called until p is used up or the body is done.
func (f *framing) next(p []byte) (payload []byte, used int, err error) {
	for used < len(p) {
		switch f.state {
		case frameUntilEOF:
			return p[used:], len(p), nil
		case frameLength, frameData:
			n := int(min(f.remain, int64(len(p)-used)))
			payload = p[used : used+n]
			if f.remain -= int64(n); f.remain == 0 {
				if f.state == frameLength {
					f.state = frameDone
				} else {
					f.state = frameDataEnd
				}
			}
			return payload, used + n, nil
		case frameDone:
			return nil, used, nil
		}
		if err := f.control(p[used]); err != nil {
			return nil, used, err
		}
		used++
	}
	return nil, used, nil
}

// control takes one byte between payloads.
func (f *framing) control(c byte) error {
	switch f.state {
	case frameSize:
		if digit, ok := unhex(c); ok {
			if f.digits++; f.digits > 15 {
				return errChunk
			}
			f.remain = f.remain<<4 | digit
			return nil
		}
		switch {
		case f.digits == 0:
			return errChunk
		case c == '\n':
			f.sized()
		case c == '\r', c == ';', c == ' ', c == '\t':
			f.state = frameExt
		default:
			return errChunk
		}
	case frameExt:
		if c == '\n' {
			f.sized()
		}
	case frameDataEnd:
		switch c {
		case '\r':
		case '\n':
			*f = framing{state: frameSize}
		default:
			return errChunk
		}
	case frameTrailer:
		switch c {
		case '\r':
		case '\n':
			f.state = frameDone
		default:
			f.state = frameTrailerText
		}
	case frameTrailerText:
		if c == '\n' {
			f.state = frameTrailer
		}
	}
	return nil
}

func (f *framing) sized() {
	f.state = frameData
	if f.remain == 0 {
		f.state = frameTrailer
	}
}

func unhex(c byte) (int64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}
