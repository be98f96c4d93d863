package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrAborted is the context.Cause of a Run's context after Stop(abort). What
// was in flight should be completed with FinishReason "aborted"; it still
// reaches the host.
var ErrAborted = errors.New("run aborted by the host")

// Run is a measurement in progress, as a backend sees it. It hands out work
// and takes records. All methods may be called from several goroutines.
//
// Static batches:
//
//	for pass := range run.Passes(ctx) {
//		... generate for pass.Items, run.Complete(...) for each ...
//	}
//
// Requests one by one, from as many goroutines as run.Spec().Concurrency:
//
//	for request := range run.Requests(ctx) {
//		... generate for request.Item, run.Complete(...) ...
//	}
type Run struct {
	spec  RunSpec
	work  *Work
	begin int64
	emit  func(RunEvent)

	sent, done, failed, outputTokens atomic.Int64
	passes                           atomic.Int64

	stopping chan struct{} // closed at the first request to stop

	mu      sync.Mutex
	next    int // index of the item to hand out next
	stop    StopKind
	reason  FinishReason
	pass    *Pass
	pending Completions
	steps   Steps

	warnings []Warning
	unkept   int // warnings beyond mostWarnings
	client   *ClientHealth
}

// flushCompletions is how many completions are packed into one event.
const flushCompletions = 256

// flushSteps is how many steps are packed into one event.
const flushSteps = 4096

// What a Run keeps of its warnings, so that they fit into one message.
const (
	mostWarnings    = 64
	mostWarningText = 4 << 10
)

// NewRun starts a Run over work; every record goes to emit, which must not
// block for long. Package serve and tests use it.
func NewRun(spec RunSpec, work *Work, emit func(RunEvent)) *Run {
	return &Run{spec: spec, work: work, begin: MonoNow(), emit: emit, next: int(spec.First), stopping: make(chan struct{})}
}

// Spec returns what the Run is to do.
func (r *Run) Spec() RunSpec { return r.spec }

// Work returns the prepared requests, for those who need more than the
// iterators give, such as the sampling.
func (r *Run) Work() *Work { return r.work }

// BeginNs returns when the Run began.
func (r *Run) BeginNs() int64 { return r.begin }

// RequestStop asks the iterators to end. Package serve calls it.
func (r *Run) RequestStop(kind StopKind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == StopNone && kind != StopNone {
		close(r.stopping)
	}
	r.stop = kind
}

// Stopping returns the kind of stop that was asked for, or StopNone.
func (r *Run) Stopping() StopKind {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}

// Pass is one batch pass being run.
type Pass struct {
	// Index counts the Run's passes from 0.
	Index uint32
	// First is the index of the pass's first item in the work.
	First uint32
	// Items are the pass's requests; a plugin divides them into batches as
	// its parameters say.
	Items []WorkItem
	// GapNs is the idle time that the host asked for before this pass. It is
	// over when the pass is handed out, and lies before the pass's begin.
	GapNs int64

	run    *Run
	record PassRecord
	ended  bool
}

// Passes hands out the passes of a batch loop until it is time to stop. A
// pass begins when it is handed out and ends when the loop's body does;
// Begin and End set the stamps more exactly. Between two passes it waits as long
// as RunSpec.GapNsMost asks for.
func (r *Run) Passes(ctx context.Context) iter.Seq[*Pass] {
	return func(yield func(*Pass) bool) {
		gaps := newGaps(r.spec)
		var gapNs int64
		for {
			pass := r.nextPass(ctx)
			if pass == nil {
				return
			}
			pass.GapNs = gapNs
			pass.Begin()
			more := yield(pass)
			pass.End()
			if !more {
				return
			}
			gapNs = gaps.next()
			gaps.wait(ctx, r.stopping, pass.record.EndNs+gapNs)
		}
	}
}

func (r *Run) nextPass(ctx context.Context) *Pass {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int(r.spec.RequestsPerPass)
	switch {
	case r.over(ctx):
		return nil
	case size == 0 || r.next+size > len(r.work.Items):
		r.reason = FinishWorkUsedUp
		return nil
	}
	pass := &Pass{
		Index: uint32(r.passes.Load()),
		First: uint32(r.next),
		Items: r.work.Items[r.next : r.next+size : r.next+size],
		run:   r,
	}
	pass.record = PassRecord{Index: pass.Index, FirstRequest: pass.First}
	r.next += size
	r.pass = pass
	r.passes.Add(1)
	r.sent.Add(int64(size))
	return pass
}

// over decides whether the Run has to end before more is handed out, and
// keeps the reason. r.mu is held.
func (r *Run) over(ctx context.Context) bool {
	limited := func(limit uint32, count int64) bool { return limit > 0 && count >= int64(limit) }
	switch {
	case ctx.Err() != nil || r.stop == StopAbort:
		r.reason = FinishAborted
	case r.stop != StopNone:
		r.reason = FinishStopped
	case limited(r.spec.MaxPasses, r.passes.Load()),
		limited(r.spec.MaxRequests, r.sent.Load()),
		r.spec.MaxDurationNs > 0 && MonoNow()-r.begin >= r.spec.MaxDurationNs:
		r.reason = FinishLimit
	default:
		return false
	}
	return true
}

// Begin stamps the pass's begin again, after a synchronisation.
func (p *Pass) Begin() { p.BeginAt(MonoNow()) }

// BeginAt is Begin with a stamp that was taken elsewhere, such as in a worker
// process. It lies after the end of the pass before.
func (p *Pass) BeginAt(ns int64) {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	p.record.BeginNs = ns
}

// End stamps the pass's end, after a synchronisation, and sends its record.
// Further calls do nothing.
func (p *Pass) End() { p.EndAt(MonoNow()) }

// EndAt is End with a stamp that was taken elsewhere.
func (p *Pass) EndAt(ns int64) {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	p.record.EndNs = ns
	p.run.pass = nil
	p.run.flush()
	p.run.emit(p.record)
}

// Padding counts tokens that were computed only to make sequences equal.
func (p *Pass) Padding(tokens int64) {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	p.record.PaddingTokens += tokens
}

// PrefillEnd stamps the boundary between prefill and decode. It has a meaning
// only if the pass is one batch.
func (p *Pass) PrefillEnd() { p.PrefillEndAt(MonoNow()) }

// PrefillEndAt is PrefillEnd with a stamp that was taken elsewhere.
func (p *Pass) PrefillEndAt(ns int64) {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	p.record.PrefillEndNs = ns
}

// Request is one prepared request handed out by Requests.
type Request struct {
	Index uint32
	Item  WorkItem
}

// Requests hands out requests one by one until it is time to stop. Several
// goroutines may range over the same Run; each request goes to one of them.
func (r *Run) Requests(ctx context.Context) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for {
			request, ok := r.Next(ctx)
			if !ok || !yield(request) {
				return
			}
		}
	}
}

// Next hands out one request, or false when it is time to stop.
func (r *Run) Next(ctx context.Context) (Request, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over(ctx):
		return Request{}, false
	case r.next >= len(r.work.Items):
		r.reason = FinishWorkUsedUp
		return Request{}, false
	}
	request := Request{Index: uint32(r.next), Item: r.work.Items[r.next]}
	r.next++
	r.sent.Add(1)
	return request, true
}

// Complete records one request's outcome. A request without an intended stamp was
// due when it was sent or, in a batch loop, when its pass began.
func (r *Run) Complete(c Completion) {
	if c.Failed() {
		r.failed.Add(1)
	}
	r.done.Add(1)
	r.outputTokens.Add(int64(c.OutputTokens))
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.IntendedNs == 0 {
		c.IntendedNs = c.SentNs
		if p := r.pass; p != nil {
			c.IntendedNs = min(c.SentNs, p.record.BeginNs)
		}
	}
	if p := r.pass; p != nil {
		p.record.Requests++
		p.record.PromptTokens += int64(c.PromptTokens)
		p.record.OutputTokens += int64(c.OutputTokens)
		if c.Failed() {
			p.record.Failed++
		}
	}
	r.pending = append(r.pending, c)
	if len(r.pending) >= flushCompletions {
		r.flush()
	}
}

// Step records one step of the engine, if the host asked for steps.
func (r *Run) Step(s Step) {
	if !r.spec.RecordSteps {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	if len(r.steps) >= flushSteps {
		r.flush()
	}
}

// Warn adds a note that belongs in the result. What is too much is counted, and
// a text that is too long is cut.
func (r *Run) Warn(w Warning) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.warnings) == mostWarnings {
		r.unkept++
		return
	}
	if len(w.Message) > mostWarningText {
		w.Message = strings.ToValidUTF8(w.Message[:mostWarningText], "") + " ..."
	}
	r.warnings = append(r.warnings, w)
}

// SetClient says how the client fared, where one made the load.
func (r *Run) SetClient(health ClientHealth) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = &health
}

// flush sends what is packed. r.mu is held.
func (r *Run) flush() {
	if len(r.pending) > 0 {
		r.emit(r.pending)
		r.pending = nil
	}
	if len(r.steps) > 0 {
		r.emit(r.steps)
		r.steps = nil
	}
}

// Heartbeat returns the counts so far. Package serve sends it.
func (r *Run) Heartbeat() Heartbeat {
	done := r.done.Load()
	sent := r.sent.Load()
	return Heartbeat{
		MonoNs: MonoNow(), Sent: sent, Done: done, Failed: r.failed.Load(),
		InFlight: sent - done, OutputTokens: r.outputTokens.Load(),
	}
}

// Finish flushes what is left and returns the closing record, without
// counters. It is an error if requests were handed out and never completed,
// unless the Run was aborted.
// Package serve calls it after Backend.Run has returned.
func (r *Run) Finish() (Finished, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
	if r.reason == "" {
		r.reason = FinishStopped
	}
	if r.stop == StopAbort {
		r.reason = FinishAborted
	}
	finished := Finished{
		MonoNs: MonoNow(), Reason: r.reason, Applied: r.spec,
		Completions: r.done.Load(), Passes: r.passes.Load(), OutputTokens: r.outputTokens.Load(),
		Warnings: r.warnings, Client: r.client,
	}
	if r.unkept > 0 {
		finished.Warnings = append(slices.Clip(r.warnings), Warning{
			Code: "warnings_left_out", Message: fmt.Sprintf("%d more warnings of the Run were not kept", r.unkept),
		})
	}
	if missing := r.sent.Load() - r.done.Load(); missing != 0 && r.reason != FinishAborted {
		return finished, &Error{
			Code: Internal, Phase: "run",
			Message: fmt.Sprintf("%d requests were handed out and %d completed", r.sent.Load(), r.done.Load()),
			Advice:  "the backend must call Run.Complete once for every request, also for one that failed",
		}
	}
	return finished, nil
}
