package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/llenergymeasure/llem/sdk"
)

// Run offers the Run's requests to the server as its loop says, records each
// as a completion, and reports on the client. A request that fails is a
// completion with an error; it is never sent again. The error is about the Run
// as a whole: no connection to be had, or ctx ended by anything but an abort.
func (g *Generator) Run(ctx context.Context, run *sdk.Run) (Report, error) {
	// Everything happens on this thread, so that its CPU time is the
	// generator's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := newReactor(g, run)
	if err != nil {
		return Report{}, err
	}
	defer r.free()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken // the descriptor is closed after this
		}
	}()
	r.ahead.first = r.spec.First
	begin := readUsage(r.clock.now())
	switch r.spec.Loop {
	case sdk.LoopClosed:
		err = r.closed(ctx)
	case sdk.LoopOpen:
		err = r.open(ctx)
	case sdk.LoopBatch:
		err = r.batches(ctx)
	default:
		return Report{}, &sdk.Error{Code: sdk.UnsupportedParameter, Phase: "run", Message: fmt.Sprintf("the load generator has no loop %q", r.spec.Loop)}
	}
	// Whatever ended the Run, each request that was handed out is completed.
	if err != nil {
		r.breakOff("server_gone: " + err.Error())
	}
	r.drain()
	report := r.report(begin, readUsage(r.clock.now()))
	if err == nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), sdk.ErrAborted) {
		err = ctx.Err()
	}
	return report, err
}

// closed keeps Concurrency requests in flight.
func (r *reactor) closed(ctx context.Context) error {
	concurrency := int(r.spec.Concurrency)
	if err := r.warm(ctx, concurrency); err != nil {
		return err
	}
	more := true
	next := func(ctx context.Context) {
		if !more || r.aborted {
			return
		}
		request, ok := r.run.Next(ctx)
		if !ok {
			more = false
			return
		}
		r.send(request, 0)
	}
	r.freed = func(s *stream) {
		if s.failedEarly() && !r.aborted {
			r.resting = append(r.resting, r.nowNs+restNs)
			return
		}
		next(ctx)
	}
	r.resume = next
	for range concurrency {
		next(ctx)
	}
	for r.inFlight > 0 || more && len(r.resting) > 0 {
		if err := errors.Join(r.turn(ctx), r.gone()); err != nil {
			return err
		}
	}
	return nil
}

// batches sends each pass all at once.
func (r *reactor) batches(ctx context.Context) error {
	if err := r.warm(ctx, int(r.spec.RequestsPerPass)); err != nil {
		return err
	}
	for pass := range r.run.Passes(ctx) {
		// Connections may have gone since the pass before.
		r.sweepNs = 0
		if err := r.step(ctx, 0); err != nil {
			return err
		}
		pass.Begin()
		for i, item := range pass.Items {
			r.send(sdk.Request{Index: pass.First + uint32(i), Item: item}, 0)
		}
		var err error
		for r.inFlight > 0 && err == nil {
			err = errors.Join(r.turn(ctx), r.gone())
		}
		if err != nil {
			r.breakOff("server_gone: " + err.Error())
		}
		// The pass is over here; what is left to decode is no part of it.
		endNs := r.clock.now()
		r.drain()
		pass.EndAt(endNs)
		if err != nil {
			return err
		}
	}
	return nil
}

// openSpare is how many connections an open loop has ready for arrivals.
const openSpare = 16

// open sends each request at its intended moment, whatever is in flight.
func (r *reactor) open(ctx context.Context) error {
	if err := r.warm(ctx, openSpare); err != nil {
		return err
	}
	items := r.run.Work().Items
	index := int(r.spec.First)
	more := true
	over := func() bool {
		limit := r.spec.MaxDurationNs
		return r.run.Stopping() != sdk.StopNone || ctx.Err() != nil || limit > 0 && r.nowNs-r.run.BeginNs() >= limit
	}
	due := func() int64 { return r.run.BeginNs() + items[index].ArrivalOffsetNs }
	take := func(ctx context.Context) {
		request, ok := r.run.Next(ctx)
		if !ok {
			more, r.dueNs = false, 0
			return
		}
		r.send(request, due())
		index++
	}
	r.dispatch = func(ctx context.Context) {
		for more && (index >= len(items) || r.nowNs >= due()) {
			take(ctx)
			r.nowNs = r.clock.now()
		}
		if more {
			r.arm(due())
		}
	}
	r.nowNs = r.clock.now()
	r.dispatch(ctx)
	for more || r.inFlight > 0 {
		if more && over() {
			// Next says no, and keeps the reason.
			take(ctx)
			continue
		}
		if more && r.connecting+len(r.idle) < openSpare && !r.g.options.Dialect.OneShot && r.refusedWhy == nil {
			if _, err := r.connect(); err != nil {
				r.failed(err)
			}
		}
		if err := errors.Join(r.turn(ctx), r.gone()); err != nil {
			return err
		}
	}
	return nil
}

// arm sets the moment of the next arrival. A timer descriptor wakes at an
// absolute time of CLOCK_MONOTONIC like clock_nanosleep(TIMER_ABSTIME), has no
// slack, and lets the same thread wait for sockets.
func (r *reactor) arm(dueNs int64) {
	r.dueNs = dueNs
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(dueNs, 1))}
	// It cannot fail with these arguments; the sweep would find what is due.
	_ = unix.TimerfdSettime(r.timer, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

// warm opens connections before anything is measured.
func (r *reactor) warm(ctx context.Context, count int) error {
	r.ahead.most = max(64, min(2*count, 4096))
	if err := r.descriptors(count); err != nil {
		return err
	}
	if r.g.options.Dialect.OneShot {
		count = 0
	}
	for range count {
		if _, err := r.connect(); err != nil {
			return r.unreachable(err)
		}
	}
	for r.connecting > 0 && ctx.Err() == nil {
		if err := r.turn(ctx); err != nil {
			return err
		}
		if r.refusedWhy != nil {
			return r.unreachable(r.refusedWhy)
		}
	}
	for r.canRender() {
		r.work(0)
	}
	return nil
}

func (r *reactor) unreachable(err error) error {
	return &sdk.Error{
		Code: sdk.EngineCrashed, Phase: "run",
		Message: fmt.Sprintf("connect to %s: %v", r.g.options.URL, err),
		Advice:  "the server must listen before a Run begins; look at its log",
	}
}

// descriptors refuses a load that the process has no descriptors for.
func (r *reactor) descriptors(count int) error {
	const others = 64
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil //nolint:nilerr // then connecting will tell
	}
	if uint64(count)+others <= limit.Cur {
		return nil
	}
	return &sdk.Error{
		Code: sdk.UnsupportedParameter, Phase: "run", KeyPath: "load.concurrency",
		Message: fmt.Sprintf("%d requests in flight need as many file descriptors, and this process may have %d", count, limit.Cur),
		Numbers: map[string]int64{"wanted": int64(count) + others, "limit": int64(limit.Cur)},
		Advice:  "raise the limit (ulimit -n) or lower the concurrency",
	}
}

// send puts one request on a connection. intended is 0 where no moment was.
func (r *reactor) send(request sdk.Request, intended int64) {
	s := r.stream()
	s.request, s.item, s.intended = request.Index, request.Item, intended
	if s.answer.chunks == nil {
		s.answer.chunks = make([]sdk.Chunk, 0, min(request.Item.MaxTokens, 256))
	}
	c := r.kept()
	if c == nil {
		var err error
		if c, err = r.connect(); err != nil {
			r.failed(err)
			s.tried = r.clock.now()
			s.fail("connect: " + err.Error())
			r.ended(s)
			r.freed(s)
			return
		}
	}
	r.inFlight++
	c.stream, s.conn = s, c
	body, own := r.body(request.Index, request.Item)
	if c.out, c.size = body, len(body); own {
		c.body = body
	}
	if c.up {
		r.write(c)
	} else {
		s.tried = r.clock.now()
	}
}
