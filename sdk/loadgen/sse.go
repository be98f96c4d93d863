package loadgen

import (
	"bytes"
	"errors"
)

// eventReader reads server-sent events (WHATWG HTML 9.2) as their bytes
// arrive: lines end in LF, CR or CRLF, comments and unknown fields are passed
// over, several data lines are joined by LF. An event belongs to the moment of
// the byte that ends its blank line.
type eventReader struct {
	most    int                         // bytes of one event
	handle  func(data []byte, ns int64) // data is valid during the call
	line    []byte                      // a line that is not complete
	data    []byte                      // the event's data so far
	hasData bool
	skipLF  bool // the line before ended in CR
	begun   bool // the place of a byte order mark is behind
}

var errEventTooLong = errors.New("event_too_long")

var byteOrderMark = []byte("\xef\xbb\xbf")

// reset prepares for another stream and keeps the buffers.
func (r *eventReader) reset() {
	r.line, r.data = r.line[:0], r.data[:0]
	r.hasData, r.skipLF, r.begun = false, false, false
}

// feed takes the next bytes, which arrived at ns.
func (r *eventReader) feed(p []byte, ns int64) error {
	for len(p) > 0 {
		if r.skipLF {
			r.skipLF = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := bytes.IndexByte(p, '\n')
		until := end
		if end < 0 {
			until = len(p)
		}
		if cr := bytes.IndexByte(p[:until], '\r'); cr >= 0 {
			end, r.skipLF = cr, true
		}
		if end < 0 {
			return r.carry(p)
		}
		line := p[:end]
		p = p[end+1:]
		if len(r.line) > 0 {
			if err := r.carry(line); err != nil {
				return err
			}
			line = r.line
		}
		err := r.take(line, ns)
		r.line = r.line[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// carry keeps a part of a line for later.
func (r *eventReader) carry(p []byte) error {
	if len(r.line)+len(r.data)+len(p) > r.most {
		return errEventTooLong
	}
	r.line = append(r.line, p...)
	return nil
}

// take handles one line without its end.
func (r *eventReader) take(line []byte, ns int64) error {
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	if len(line) == 0 {
		if r.hasData {
			r.handle(r.data, ns)
			r.data, r.hasData = r.data[:0], false
		}
		return nil
	}
	name, value, _ := bytes.Cut(line, []byte{':'})
	if string(name) != "data" {
		return nil
	}
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if len(r.data)+len(value) > r.most {
		return errEventTooLong
	}
	if r.hasData {
		r.data = append(r.data, '\n')
	}
	r.data, r.hasData = append(r.data, value...), true
	return nil
}

// end closes a body that is complete. Some servers leave out the last blank
// line; what a cut connection leaves behind is never an event.
func (r *eventReader) end(ns int64) error {
	if len(r.line) > 0 {
		err := r.take(r.line, ns)
		r.line = r.line[:0]
		if err != nil {
			return err
		}
	}
	return r.take(nil, ns)
}
