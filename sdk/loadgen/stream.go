package loadgen

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// stream is one request from its sending to its completion. While bytes
// arrive they are only stamped, kept in raw, and walked for the body's end;
// decode reads them when no socket is waiting.
type stream struct {
	request  uint32
	item     sdk.WorkItem
	conn     *conn // nil when it has ended
	intended int64
	sent     int64 // 0 = never sent
	tried    int64 // when it was handed to a connection that was not up

	// What has arrived.
	raw      []byte
	marks    []mark
	heads    *heads
	headed   bool
	head     head
	walk     framing // finds the end while bytes arrive
	walked   int     // bytes of raw that it has seen
	lastNs   int64   // the newest stamp
	arrived  int64   // bytes in all
	ended    bool
	whole    bool   // the body came to its end
	failure  string // why it failed, whatever its events say
	cut      string // how its connection ended early; no failure if the events were complete
	aborted  bool
	queued   bool // waits to be decoded
	heldSize int  // bytes that were last accounted for it

	// What has been decoded of it.
	decoded int // bytes of raw
	marked  int // marks
	frame   framing
	events  eventReader
	answer  answer
}

// mark says that raw up to end had arrived at ns.
type mark struct {
	end int
	ns  int64
}

// answer is what was read from a request's events.
type answer struct {
	fields  fields
	chunks  []sdk.Chunk
	ids     []uint32
	textLen int // of cumulative text
	finish  string
	fault   string
	body    []byte // the start of an answer that is no stream
	done    bool   // [DONE] came
	broken  int    // events that are not JSON
	merged  int64  // events that came in the same read as one before them

	output      int64 // the server's count, if usageEvents > 0
	usageEvents int
	counted     int  // events with output that the count came with
	closed      bool // a single count came, without output: the end
	prompt      int64
	hasPrompt   bool
	cached      *uint32
}

// mostErrorBody is kept of an answer that is no stream.
const mostErrorBody = 2 << 10

func newStream(mostEvent int, h *heads) *stream {
	s := &stream{heads: h}
	s.events.most = mostEvent
	return s
}

// mostKept is the size up to which buffers are used again.
const mostKept = 256 << 10

// reset prepares the stream for another request. Buffers of a usual size are
// kept; chunks went to the completion.
func (s *stream) reset() {
	raw, marks, events := s.raw[:0], s.marks[:0], s.events
	chunks, ids, scratch := s.answer.chunks[:0], s.answer.ids[:0], s.answer.fields.ids[:0]
	if cap(raw) > mostKept {
		raw, marks = nil, nil
	}
	if cap(events.line)+cap(events.data) > mostKept {
		events.line, events.data = nil, nil
	}
	events.reset()
	*s = stream{heads: s.heads, raw: raw, marks: marks, events: events, heldSize: s.heldSize}
	s.answer.chunks, s.answer.ids, s.answer.fields.ids = chunks, ids, scratch
}

// size is the memory that the stream holds.
func (s *stream) size() int {
	return cap(s.raw) + 16*cap(s.marks) + cap(s.events.line) + cap(s.events.data) + 16*cap(s.answer.chunks) + 4*cap(s.answer.ids)
}

// take is all that is done to arriving bytes while a window may be open: they
// lie in raw already. It tells whether the answer is complete.
func (s *stream) take(n int, ns int64) (over bool, err error) {
	s.raw = s.raw[:len(s.raw)+n]
	s.arrived += int64(n)
	s.lastNs = max(s.lastNs, ns)
	s.marks = append(s.marks, mark{end: len(s.raw), ns: s.lastNs})
	for !s.headed {
		h, used, err := s.heads.parse(s.raw[s.walked:])
		if err != nil || used == 0 {
			return false, err
		}
		s.walked += used
		if h.status/100 != 1 {
			s.headed, s.head = true, h
			s.walk, s.frame = newFraming(h), newFraming(h)
			s.decoded = s.walked
		}
	}
	for s.walked < len(s.raw) && !s.walk.done() {
		_, used, err := s.walk.next(s.raw[s.walked:])
		if err != nil {
			return false, err
		}
		s.walked += used
	}
	return s.walk.done(), nil
}

// pending is how many bytes wait to be decoded.
func (s *stream) pending() int {
	if !s.headed {
		return 0
	}
	return len(s.raw) - s.decoded
}

// decode reads about most bytes of what has arrived and tells whether there
// are more. Raw is emptied when all is read.
func (s *stream) decode(most int, g *grammar) (more bool) {
	if s.events.handle == nil {
		s.events.handle = func(data []byte, ns int64) { s.answer.event(data, ns, g) }
	}
	stop := min(len(s.raw), s.decoded+most)
	if s.failure != "" {
		s.decoded = len(s.raw)
	}
	for s.headed && s.decoded < stop {
		for s.marked < len(s.marks) && s.marks[s.marked].end <= s.decoded {
			s.marked++
		}
		m := s.marks[s.marked]
		payload, used, err := s.frame.next(s.raw[s.decoded:m.end])
		s.decoded += used
		if err == nil && len(payload) > 0 {
			err = s.payload(payload, m.ns, g)
		}
		if err != nil {
			s.fail(err.Error())
			s.decoded = len(s.raw)
			break
		}
		if s.frame.done() {
			s.decoded = len(s.raw)
			break
		}
	}
	if s.headed && s.decoded == len(s.raw) {
		s.raw, s.marks = s.raw[:0], s.marks[:0]
		s.walked, s.decoded, s.marked = 0, 0, 0
	}
	return s.pending() > 0
}

// payload takes a piece of the body.
func (s *stream) payload(p []byte, ns int64, g *grammar) error {
	if s.head.status != 200 || !s.head.sse {
		s.answer.body = append(s.answer.body, p[:min(len(p), mostErrorBody-len(s.answer.body))]...)
		return nil
	}
	if err := s.events.feed(p, ns); err != nil {
		return fmt.Errorf("%w: an event is larger than %d bytes", err, s.events.most)
	}
	return s.excess()
}

// excess refuses an answer of far more tokens than were asked for, be it that the
// server only counts them: each may take room in its completion.
func (s *stream) excess() error {
	a := &s.answer
	if most := 2*int(s.item.MaxTokens) + 64; len(a.chunks) > most || len(a.ids) > most || a.output > int64(most) {
		return fmt.Errorf("too_many_tokens: %d were asked for and more than %d came", s.item.MaxTokens, most)
	}
	return nil
}

// fail keeps the first reason.
func (s *stream) fail(reason string) {
	if s.failure == "" {
		s.failure = reason
	}
}

// close decodes what is left of an answer that has ended.
func (s *stream) close(g *grammar) {
	for s.decode(1<<20, g) {
	}
	if s.whole && s.failure == "" && s.head.sse {
		err := s.events.end(s.lastNs)
		if err == nil {
			err = s.excess()
		}
		if err != nil {
			s.fail(err.Error())
		}
	}
}

// gaveUp are finish reasons of requests that a server dropped, as one does that is
// told to end.
var gaveUp = map[string]bool{"abort": true, "aborted": true, "cancelled": true, "canceled": true, "error": true, "timeout": true}

// verdict says why a request that has ended failed, or returns "".
func (s *stream) verdict() string {
	a := &s.answer
	complete := a.finish != "" || a.done || a.closed
	switch {
	case s.sent == 0:
		return s.failure
	case a.fault != "":
		return "error_event: " + a.fault
	case s.headed && s.head.status != 200:
		text := fmt.Sprintf("http_%d: %s", s.head.status, oneLine(a.body))
		if s.head.retryAfter != "" {
			text += " (Retry-After: " + s.head.retryAfter + ")"
		}
		return text
	case s.failure != "":
		return s.failure
	case complete && a.finish == "" && len(a.chunks) == 0 && a.output == 0:
		// vLLM leaves out events without output, and with them the reason of a request
		// that it drops before its first token.
		return "server_aborted: the server ended the request without output and without a finish reason"
	case gaveUp[a.finish]:
		return fmt.Sprintf("server_aborted: the server ended the request as %q after %d events with output", a.finish, len(a.chunks))
	case complete:
		return ""
	case s.headed && !s.head.sse && s.whole:
		return "not_a_stream: " + oneLine(a.body)
	case s.cut != "" && !s.headed:
		return s.cut
	}
	how := "the answer ended"
	if s.cut != "" {
		how = s.cut
	}
	if a.broken > 0 {
		how += fmt.Sprintf(", %d events were not valid JSON", a.broken)
	}
	return fmt.Sprintf("stream_cut: %s after %d events with output, without finish reason, usage or [DONE]", how, len(a.chunks))
}

func oneLine(b []byte) string {
	const most = 300
	b = b[:min(len(b), most)]
	text := make([]rune, 0, len(b))
	for _, c := range string(b) {
		if c < ' ' {
			c = ' '
		}
		text = append(text, c)
	}
	return string(text)
}
