package loadgen

import (
	"context"

	"github.com/llenergymeasure/llem/sdk"
)

// mostPreparedBytes bounds what Prepare renders: some hundred thousand requests
// of a hundred tokens, or ten thousand of a thousand.
const mostPreparedBytes = 64 << 20

// Prepare renders work's requests outside every window; a backend calls it from
// its own Prepare (sdk.Preparer). It is not needed: what is not rendered before
// is rendered in idle moments, a few requests ahead.
func (g *Generator) Prepare(ctx context.Context, work *sdk.Work) error {
	e, err := newEncoder(g.options, g.host, work)
	if err != nil {
		return err
	}
	g.prepared, g.rendered = work, nil
	bytes := 0
	for _, item := range work.Items {
		if bytes > mostPreparedBytes || ctx.Err() != nil {
			break
		}
		body := e.append(nil, item)
		bytes += len(body)
		g.rendered = append(g.rendered, body)
	}
	return ctx.Err()
}

// ahead holds requests that are rendered before they are due.
type ahead struct {
	bodies [][]byte
	first  uint32 // index of bodies[0]
	bytes  int
	most   int // how many to hold
}

// mostAheadBytes bounds what is rendered in idle moments.
const mostAheadBytes = 16 << 20

// body returns the rendered request, from the stock if it is there, and whether
// its buffer may be used again.
func (r *reactor) body(index uint32, item sdk.WorkItem) (body []byte, own bool) {
	if r.g.prepared == r.run.Work() && int(index) < len(r.g.rendered) {
		r.ahead.first = index + 1
		return r.g.rendered[index], false
	}
	if len(r.ahead.bodies) > 0 && r.ahead.first == index {
		b := r.ahead.bodies[0]
		r.ahead.bodies = r.ahead.bodies[1:]
		r.ahead.bytes -= len(b)
		r.ahead.first++
		return b, true
	}
	r.buffers = append(r.buffers, r.ahead.bodies...)
	r.ahead.bodies, r.ahead.bytes, r.ahead.first = r.ahead.bodies[:0], 0, index+1
	return r.encoder.append(r.buffer(), item), true
}

func (r *reactor) buffer() []byte {
	n := len(r.buffers)
	if n == 0 {
		return nil
	}
	b := r.buffers[n-1]
	r.buffers = r.buffers[:n-1]
	return b[:0]
}

// canRender tells whether another request should be rendered.
func (r *reactor) canRender() bool {
	a := &r.ahead
	next := int(a.first) + len(a.bodies)
	if r.g.prepared == r.run.Work() && next < len(r.g.rendered) {
		return false
	}
	return len(a.bodies) < a.most && a.bytes < mostAheadBytes && next < len(r.run.Work().Items)
}

// idleWork tells whether there is something to do while no socket waits.
func (r *reactor) idleWork() bool { return r.waiting() > 0 || r.canRender() }

// work does a little of what can wait: it renders one request and decodes
// about most bytes.
func (r *reactor) work(most int) {
	if r.canRender() {
		b := r.encoder.append(r.buffer(), r.run.Work().Items[int(r.ahead.first)+len(r.ahead.bodies)])
		r.ahead.bodies = append(r.ahead.bodies, b)
		r.ahead.bytes += len(b)
	}
	for r.waiting() > 0 && most > 0 {
		s := r.queue[r.queueAt]
		most -= s.pending() + 1<<10
		r.grammar.request = s.request
		if s.decode(decodeSlice, &r.grammar) {
			return // it stays in front
		}
		if s.failure != "" && s.conn != nil {
			r.finish(s.conn, false) // its events show that there is no use in more
		}
		r.dequeue()
		s.queued = false
		if s.ended {
			s.close(&r.grammar)
			r.run.Complete(s.completion(r.spec.Record, &r.tally))
			s.reset()
			r.account(s)
			r.spare = append(r.spare, s)
			continue
		}
		r.account(s)
	}
}

// waiting is how many streams wait to be decoded.
func (r *reactor) waiting() int { return len(r.queue) - r.queueAt }

// dequeue takes the first of them off. The room in front is used again when it
// is half of the queue, so that each move costs a constant time.
func (r *reactor) dequeue() {
	r.queue[r.queueAt] = nil
	if r.queueAt++; 2*r.queueAt >= len(r.queue) {
		r.queue = r.queue[:copy(r.queue, r.queue[r.queueAt:])]
		r.queueAt = 0
	}
}

// drain decodes and completes all that has ended.
func (r *reactor) drain() {
	for r.waiting() > 0 {
		r.work(1 << 20)
	}
}

// account notes what the stream holds now.
func (r *reactor) account(s *stream) {
	size := s.size()
	r.memory += int64(size - s.heldSize)
	s.heldSize = size
	r.mostMemory = max(r.mostMemory, r.memory)
}

// relieve brings memory down although sockets may be waiting. First all that
// can be decoded is; if that is not enough, buffers kept for later are let go,
// and then the requests that hold most fail.
func (r *reactor) relieve() {
	r.busyDecode++
	limit := r.g.options.MemoryBytes
	if r.memory <= limit {
		r.work(decodeSlice)
		return
	}
	r.drain()
	for _, c := range r.conns {
		if c == nil || c.stream == nil {
			continue
		}
		s := c.stream
		r.grammar.request = s.request
		for s.decode(1<<20, &r.grammar) {
		}
		if len(s.raw) == 0 {
			s.raw, s.marks = nil, nil
		}
		r.account(s)
	}
	r.dropSpare()
	for r.memory > limit {
		var largest *conn
		for _, c := range r.conns {
			if c != nil && c.stream != nil && (largest == nil || c.stream.heldSize > largest.stream.heldSize) {
				largest = c
			}
		}
		if largest == nil {
			return
		}
		r.overMemory++
		largest.stream.fail("memory_limit: the answers in flight hold more than the generator may; raise MemoryBytes or lower the concurrency")
		r.finish(largest, false)
		r.drain()
		r.dropSpare()
	}
}

// dropSpare lets go of the streams that wait to be used again.
func (r *reactor) dropSpare() {
	for _, s := range r.spare {
		r.memory -= int64(s.heldSize)
	}
	r.spare = nil
}

// stream returns a fresh stream.
func (r *reactor) stream() *stream {
	if n := len(r.spare); n > 0 {
		s := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return s
	}
	return newStream(r.g.options.MaxEventBytes, &r.heads)
}
