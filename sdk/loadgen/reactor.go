package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
)

// reactor is one Run: one thread that waits for sockets and for the next
// arrival at once, so that nothing needs a lock. It handles what has arrived
// first, then what is due, and decodes only when no socket is waiting.
type reactor struct {
	g       *Generator
	run     *sdk.Run
	spec    sdk.RunSpec
	clock   *stampClock
	encoder *encoder
	grammar grammar
	nowNs   int64 // the newest reading of the clock

	epoll, timer, wake int
	events             [256]unix.EpollEvent
	receiver           receiver

	conns       []*conn
	freeSlots   []int32
	closedSlots []int32 // free after the events at hand
	idle        []*conn
	connecting  int
	refused     int   // connection attempts in a row
	refusedWhy  error // of the newest attempt, if it failed
	knockedNs   int64 // when a silent server was last asked whether it listens

	inFlight int
	queue    []*stream // to be decoded, from queueAt on
	queueAt  int
	heads    heads
	spare    []*stream
	memory   int64
	ahead    ahead
	buffers  [][]byte
	sweepNs  int64 // when to look at what has no event
	aborted  bool

	freed    func(s *stream) // a request has left its place in the loop
	dueNs    int64           // when dispatch is to be called; 0 = never
	dispatch func(ctx context.Context)
	resting  []int64 // when places that rest after a failure go on
	resume   func(ctx context.Context)

	tally      tally
	lateness   histogram // actual minus intended sending
	delay      histogram // kernel stamp to user stamp
	reads      int64
	fallback   int64
	partWrites int64
	busyDecode int64 // decoded although sockets may have waited
	overMemory int64
	mostMemory int64
}

const (
	sweepPeriodNs  = 100e6
	connectLimitNs = 10e9
	// restNs is how long a place in a closed loop rests after a failed request,
	// so that a server that refuses everything is not asked a million times.
	restNs = 100e6
	// idleLimitNs is below the five seconds after which common servers close.
	idleLimitNs = 4e9
	// restedNs is how long a connection is idle before it is asked whether it is open;
	// those of a busy loop are not.
	restedNs = 1e6
	// decodeSlice is decoded between two looks at the sockets: some 30 us.
	decodeSlice = 32 << 10
	// decodeAt is how much a request may hold before it is queued.
	decodeAt = 16 << 10
	// queueLimit requests more than are in flight may wait to be decoded; when no
	// moment is idle, they come between.
	queueLimit = 64
	// goneAfter connection attempts in a row, nothing listens any more.
	goneAfter = 20
	// silenceShare of Options.Stall, five seconds, is the silence of all requests
	// after which a server is asked whether it is there.
	silenceShare = 120
)

const (
	slotTimer = -1
	slotWake  = -2
)

func newReactor(g *Generator, run *sdk.Run) (*reactor, error) {
	o := g.options
	encoder, err := newEncoder(o, g.host, run.Work())
	if err != nil {
		return nil, err
	}
	r := &reactor{
		g: g, run: run, spec: run.Spec(), clock: newStampClock(readPair), encoder: encoder,
		grammar: grammar{root: o.Dialect.tree(), cumulative: o.Dialect.Cumulative, observe: o.Observe},
		tally:   tally{exact: run.Work().ExactLengths},
		epoll:   -1, timer: -1, wake: -1,
		freed: func(*stream) {}, dispatch: func(context.Context) {}, resume: func(context.Context) {},
	}
	r.nowNs = r.clock.now()
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		if r.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err == nil {
			r.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		}
	}
	if err == nil {
		err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: slotTimer})
	}
	if err == nil {
		err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, r.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: slotWake})
	}
	if err != nil {
		r.free()
		return nil, fmt.Errorf("load generator: epoll, timerfd, eventfd: %w", err)
	}
	return r, nil
}

// free closes everything.
func (r *reactor) free() {
	for _, c := range r.conns {
		if c != nil {
			r.close(c)
		}
	}
	for _, fd := range []int{r.epoll, r.timer, r.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// turn waits for something to happen and handles it.
func (r *reactor) turn(ctx context.Context) error {
	if r.idleWork() {
		return r.step(ctx, 0)
	}
	return r.step(ctx, int(max(0, r.sweepNs-r.nowNs)/1e6)+1)
}

// step is a turn that waits at most timeoutMs.
func (r *reactor) step(ctx context.Context, timeoutMs int) error {
	n, err := unix.EpollWait(r.epoll, r.events[:], timeoutMs)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("load generator: epoll_wait: %w", err)
	}
	r.nowNs = r.clock.now()
	for i := range max(n, 0) {
		r.event(ctx, &r.events[i])
		if r.dueNs != 0 && r.nowNs >= r.dueNs {
			r.dispatch(ctx)
		}
	}
	r.freeSlots = append(r.freeSlots, r.closedSlots...)
	r.closedSlots = r.closedSlots[:0]
	if n <= 0 || r.waiting() > queueLimit+r.inFlight {
		r.work(decodeSlice)
	} else if r.memory > r.g.options.MemoryBytes/2 {
		r.relieve()
	}
	if r.dueNs != 0 {
		if r.nowNs = r.clock.now(); r.nowNs >= r.dueNs {
			r.dispatch(ctx)
		}
	}
	if r.nowNs >= r.sweepNs {
		r.sweep(ctx)
	}
	return nil
}

func (r *reactor) event(ctx context.Context, e *unix.EpollEvent) {
	switch e.Fd {
	case slotTimer:
		if r.nowNs = r.clock.now(); r.dueNs == 0 {
			var buffer [8]byte
			_, _ = unix.Read(r.timer, buffer[:])
		}
		return // dispatch follows, and sets it anew
	case slotWake:
		var buffer [8]byte
		_, _ = unix.Read(r.wake, buffer[:])
		if ctx.Err() != nil {
			r.abort(ctx)
		}
		return
	}
	c := r.conns[e.Fd]
	switch {
	case c == nil || c.fd != int(e.Pad): // closed by an event before this one
	case !c.up:
		r.nowNs = r.clock.now()
		r.connected(c)
	case c.stream == nil:
		r.close(c) // the server closed it, or speaks unasked
	case e.Events&unix.EPOLLIN == 0 && e.Events&unix.EPOLLOUT != 0:
		r.write(c)
	default:
		r.receive(c)
		if e.Events&unix.EPOLLOUT != 0 && c.fd >= 0 && c.stream != nil && len(c.out) > 0 {
			r.write(c)
		}
	}
}

// receive is the hot path: read, stamp, keep.
func (r *reactor) receive(c *conn) {
	s := c.stream
	if cap(s.raw)-len(s.raw) < 2<<10 {
		grown := make([]byte, len(s.raw), max(8<<10, 2*cap(s.raw)))
		copy(grown, s.raw)
		s.raw = grown
		r.account(s)
	}
	n, wallNs, err := r.receiver.receive(c.fd, s.raw[len(s.raw):cap(s.raw)])
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	r.nowNs = r.clock.now()
	if err != nil || n == 0 {
		r.lost(c, err)
		return
	}
	c.sinceNs = r.nowNs
	over, err := s.take(n, r.stamp(s, wallNs))
	switch {
	case err != nil:
		s.fail("http_protocol: " + err.Error())
		r.finish(c, false)
	case over:
		s.whole = true
		r.finish(c, !s.head.close && !r.g.options.Dialect.OneShot && s.walked == len(s.raw))
	case !s.queued && s.pending() >= decodeAt:
		s.queued = true
		r.queue = append(r.queue, s)
	}
}

// stamp is the kernel's stamp of what was just read, or the user's.
func (r *reactor) stamp(s *stream, wallNs int64) int64 {
	r.reads++
	if wallNs != 0 {
		if stampNs, ok := r.clock.kernel(wallNs, r.nowNs); ok && stampNs >= s.sent {
			r.delay.add(r.nowNs - stampNs)
			return stampNs
		}
	}
	r.fallback++
	return r.nowNs
}

// lost ends a request whose connection has ended; err is nil at its orderly
// end.
func (r *reactor) lost(c *conn, err error) {
	s := c.stream
	switch {
	case err == nil && s.headed && s.walk.atEOF():
		s.whole = true
	case s.arrived == 0 && c.served > 0:
		s.cut = "connection_lost: the server closed a connection that it had kept, before it answered; set OneShot in its dialect"
	case s.arrived == 0:
		s.cut = "connection_lost: the server closed the connection before it answered"
	default:
		s.cut = fmt.Sprintf("the connection ended after %d bytes", s.arrived)
	}
	if err != nil {
		s.cut += " (" + err.Error() + ")"
	}
	r.finish(c, false)
}

// finish takes the request off its connection.
func (r *reactor) finish(c *conn, keep bool) {
	s := c.stream
	c.stream, s.conn = nil, nil
	c.served++
	c.sinceNs = r.nowNs
	if len(c.out) > 0 {
		keep = false // it answered before it had the whole request
	}
	r.reuse(c)
	if keep {
		r.idle = append(r.idle, c)
	} else {
		r.close(c)
	}
	r.inFlight--
	r.ended(s)
	r.freed(s)
}

// ended queues a request for its last decoding and its completion.
func (r *reactor) ended(s *stream) {
	s.ended = true
	if !s.queued {
		s.queued = true
		r.queue = append(r.queue, s)
	}
}

// failedEarly tells that the request failed as far as is known before its
// events are read.
func (s *stream) failedEarly() bool {
	return s.failure != "" || s.cut != "" || s.headed && s.head.status != 200
}

// sweep looks at what has no event of its own: stalls, idle connections, places
// that rest, a Stop in an idle open loop.
func (r *reactor) sweep(ctx context.Context) {
	r.sweepNs = r.nowNs + sweepPeriodNs
	stall := int64(r.g.options.Stall)
	var newestNs int64 // the last byte to or from any request
	for _, c := range r.conns {
		if c != nil && c.stream != nil {
			newestNs = max(newestNs, c.sinceNs, c.stream.sent)
		}
		switch {
		case c == nil:
		case !c.up && r.nowNs-c.sinceNs > connectLimitNs:
			r.refuse(c, unix.ETIMEDOUT)
		case c.stream != nil && c.up && r.nowNs-max(c.sinceNs, c.stream.sent) > stall:
			c.stream.fail(fmt.Sprintf("stalled: no byte for %v", time.Duration(stall)))
			r.finish(c, false)
		case c.stream == nil && c.up && r.nowNs-c.sinceNs > idleLimitNs:
			r.close(c)
		}
	}
	r.idle = slices.DeleteFunc(r.idle, func(c *conn) bool { return c.fd < 0 })
	for len(r.resting) > 0 && r.resting[0] <= r.nowNs {
		r.resting = r.resting[1:]
		r.resume(ctx)
	}
	if ctx.Err() != nil {
		r.abort(ctx)
	}
	r.knock(newestNs, stall/silenceShare)
}

// knock asks a server whether it still listens when nothing has come for long from
// any request. One that was told to end closes its port and may wait for good for
// its clients to leave. A connection that comes up is one to spare; one that is
// refused is tried again at each sweep, until gone.
func (r *reactor) knock(newestNs, silenceNs int64) {
	switch {
	case r.inFlight == 0 || r.connecting > 0 || r.nowNs-newestNs < silenceNs:
		return
	case r.refused == 0 && r.nowNs-r.knockedNs < silenceNs:
		return
	}
	r.knockedNs = r.nowNs
	if _, err := r.connect(); err != nil {
		r.failed(err)
	}
}

// abort breaks off what is in flight: as the host asked, or because the server is
// known to be gone, which is a failure of each request.
func (r *reactor) abort(ctx context.Context) {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, sdk.ErrAborted), errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		r.breakOff("")
	default:
		r.breakOff("server_gone: " + cause.Error())
	}
}

// breakOff ends all that is in flight; with a reason, as failed.
func (r *reactor) breakOff(reason string) {
	r.aborted = true
	r.dueNs = 0
	r.resting = nil
	for _, c := range r.conns {
		if c == nil || c.stream == nil {
			continue
		}
		if reason == "" {
			c.stream.aborted = true
		} else {
			c.stream.fail(reason)
		}
		r.finish(c, false)
	}
}

// gone is the error of a server that nobody reaches any more.
func (r *reactor) gone() error {
	if r.refused < goneAfter {
		return nil
	}
	return &sdk.Error{
		Code: sdk.EngineCrashed, Phase: "run",
		Message: fmt.Sprintf("%s does not take connections any more: %v, %d times in a row", r.g.options.URL, r.refusedWhy, r.refused),
		Advice:  "look at the end of the server's log",
	}
}
