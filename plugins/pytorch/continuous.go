package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/llenergymeasure/llem/plugins/pytorch/internal/worker"
	"github.com/llenergymeasure/llem/sdk"
)

// cpuRoom is what a CPU's continuous batching gets where the study does not say:
// there, transformers would claim nearly all of the machine's memory. It is
// reported as the parameters that it stands for.
func cpuRoom(cell sdk.Cell) map[string]int64 {
	w := cell.Workload
	longest := int64(w.MaxInputTokens) + int64(w.MaxOutputTokens)
	requests := max(64, int64(cell.Load.Concurrency))
	if cell.Load.Loop == sdk.LoopBatch {
		requests = max(1, int64(w.RequestsPerPass))
	}
	return map[string]int64{"cpu_batch_tokens": 512, "cpu_cache_tokens": requests * (longest + pageTokens)}
}

// continuousRules judge parameters beside continuous batching.
var continuousRules = []rule{
	withContinuous("num_beams", func(p sdk.Table) bool { return p.Int("num_beams", 1) > 1 }, "it has no beam search"),
	withContinuous("use_cache", func(p sdk.Table) bool { return !p.Bool("use_cache", true) }, "it is made of its cache"),
	withContinuous("cache_implementation", func(p sdk.Table) bool { return given(p, "cache_implementation") }, "it has a paged cache of its own"),
	withContinuous("compile", func(p sdk.Table) bool { return p.Bool("compile", false) }, "it is compiled by extra.default_compile_level"),
	withContinuous("inference_mode", func(p sdk.Table) bool { return p.Bool("inference_mode", false) }, "it works in a thread of its own"),
	withContinuous("prompt_lookup_num_tokens", speculates, "it does not speculate"),
	withContinuous("device_map", spreads, "its cache is on one device"),
	withContinuous("padding_side", func(p sdk.Table) bool { return given(p, "padding_side") }, "it pads nothing"),
	withoutContinuous("max_batch_tokens"), withoutContinuous("kv_cache_tokens"), withoutContinuous("prefix_caching"),
}

func isContinuous(p sdk.Table) bool {
	return p.String("batching", defaultBatching) == "continuous"
}

func withContinuous(key string, broken func(sdk.Table) bool, why string) rule {
	return rule{key, false, func(p sdk.Table) bool { return isContinuous(p) && broken(p) },
		"continuous batching cannot do this: " + why, "leave it out, or batching"}
}

func withoutContinuous(key string) rule {
	return rule{key, true, func(p sdk.Table) bool { return given(p, key) && !isContinuous(p) },
		`it belongs to batching = "continuous"`, ""}
}

// pageTokens is how much of the cache a request may leave unused: its last page.
const pageTokens = 256

// serveCall begins a Run of continuous batching.
type serveCall struct {
	Exact     bool     `json:"exact"`
	EveryStep bool     `json:"every_step"`
	Sampling  sampling `json:"sampling"`
}

// addition is a request as it goes to the worker; its prompt is the raw data.
type addition struct {
	Request   uint32 `json:"request"`
	MaxTokens uint32 `json:"max_tokens"`
}

// outcome is a request as it comes back; its output is the raw data.
type outcome struct {
	Request uint32  `json:"request"`
	SentNs  int64   `json:"sent_ns"`
	FirstNs int64   `json:"first_ns"`
	LastNs  int64   `json:"last_ns"`
	Stamps  []int64 `json:"stamps"`
	Tokens  int     `json:"tokens"`
	Reason  string  `json:"reason"`
	Error   string  `json:"error"`

	ids []uint32
}

// serving is a Run of continuous batching in progress. One goroutine drives it;
// another one waits for the worker.
type serving struct {
	worker   *worker.Process
	run      *sdk.Run
	ready    chan struct{}
	outcomes chan outcome
	edges    chan int64
	over     chan struct{} // closed when the worker's call has ended
	err      error         // once over is closed
	intended map[uint32]intended
}

// intended is what is kept of a request in flight.
type intended struct {
	ns     int64 // when it was to be sent; 0 = no such time
	prompt uint32
}

// mostWaiting is how many outcomes wait while the driving goroutine sends.
const mostWaiting = 1024

// serve drives a Run through the continuous batching of transformers.
func (b *backend) serve(ctx context.Context, run *sdk.Run) error {
	s := &serving{
		worker: b.workers.First(), run: run, ready: make(chan struct{}), outcomes: make(chan outcome, mostWaiting),
		edges: make(chan int64, 1), over: make(chan struct{}), intended: map[uint32]intended{},
	}
	work, spec := run.Work(), run.Spec()
	call := serveCall{Exact: work.ExactLengths, EveryStep: spec.Record != sdk.RecordRequest, Sampling: newSampling(work.Sampling)}
	go func() {
		defer close(s.over)
		var answer struct{}
		_, s.err = b.workers.First().Call(ctx, "serve", call, nil, b.patienceOrDefault(), &answer, s.event)
	}()
	select {
	case <-s.ready:
	case <-s.over:
		return s.ended(ctx)
	}
	var err error
	switch spec.Loop {
	case sdk.LoopClosed:
		err = s.closed(ctx)
	case sdk.LoopOpen:
		err = s.open(ctx)
	default:
		err = s.batches(ctx)
	}
	// Without an answer to this the call ends by itself, too.
	_ = s.worker.Tell("finish", nil, nil)
	for {
		select {
		case o := <-s.outcomes:
			s.complete(o)
		case <-s.over:
			return errors.Join(err, s.ended(ctx))
		}
	}
}

// event sorts what the worker tells. It runs in the goroutine of the call.
func (s *serving) event(e worker.Event) {
	switch e.Name {
	case "ready":
		close(s.ready)
	case "edge":
		var edge struct {
			MonoNs int64 `json:"mono_ns"`
		}
		// An edge that cannot be read has the stamp 0, which the host refuses.
		_ = json.Unmarshal(e.Header, &edge)
		s.edges <- edge.MonoNs
	case "completed":
		var o outcome
		if err := json.Unmarshal(e.Header, &o); err != nil {
			o.Error = "the worker's answer cannot be read: " + err.Error()
		}
		o.ids = readIDs(e.Data)
		s.outcomes <- o
	}
}

// ended completes what the worker has not, and returns the error of its call.
func (s *serving) ended(ctx context.Context) error {
	for len(s.outcomes) > 0 {
		s.complete(<-s.outcomes)
	}
	for request := range s.intended {
		o := outcome{Request: request, Reason: "aborted"}
		if s.err != nil {
			o.Reason, o.Error = "error", s.err.Error()
		}
		s.complete(o)
	}
	if s.err == nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), sdk.ErrAborted) {
		return ctx.Err()
	}
	return s.err
}

// send gives a request to the engine.
func (s *serving) send(index uint32, item sdk.WorkItem, ns int64) error {
	s.intended[index] = intended{ns, uint32(len(item.TokenIDs))}
	return s.worker.Tell("add", addition{index, item.MaxTokens}, appendIDs(nil, item.TokenIDs))
}

// complete records a request that came back.
func (s *serving) complete(o outcome) {
	in, ok := s.intended[o.Request]
	if !ok {
		return
	}
	delete(s.intended, o.Request)
	c := sdk.Completion{
		Request: o.Request, IntendedNs: in.ns, SentNs: o.SentNs, FirstNs: o.FirstNs, LastNs: o.LastNs,
		PromptTokens: in.prompt, OutputTokens: uint32(o.Tokens), FinishReason: o.Reason, Error: o.Error,
	}
	if c.SentNs == 0 {
		c.SentNs = sdk.MonoNow() // it never came to the engine
	}
	if hash := sdk.OutputHash(o.ids); o.Error == "" {
		c.OutputHash = &hash
	}
	for _, stamp := range o.Stamps {
		c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: stamp, Tokens: 1})
	}
	s.run.Complete(c)
}

// next takes a request from the Run and sends it; more is false if there is none.
func (s *serving) next(ctx context.Context, ns int64) (more bool, err error) {
	request, ok := s.run.Next(ctx)
	if !ok {
		return false, nil
	}
	return true, s.send(request.Index, request.Item, ns)
}

// closed keeps Concurrency requests in flight.
func (s *serving) closed(ctx context.Context) error {
	for range s.run.Spec().Concurrency {
		if more, err := s.next(ctx, 0); err != nil || !more {
			return err
		}
	}
	for {
		select {
		case o := <-s.outcomes:
			s.complete(o)
			if more, err := s.next(ctx, 0); err != nil || !more {
				return err
			}
		case <-s.over:
			return nil
		}
	}
}

// stopPoll is how often an open loop that waits for an arrival looks for a stop.
const stopPoll = 20 * time.Millisecond

// open sends each request at its moment, whatever is in flight.
func (s *serving) open(ctx context.Context) error {
	items, index := s.run.Work().Items, int(s.run.Spec().First)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var due int64
		if index < len(items) {
			due = s.run.BeginNs() + items[index].ArrivalOffsetNs
		}
		limit := s.run.Spec().MaxDurationNs
		ends := s.run.Stopping() != sdk.StopNone || ctx.Err() != nil || limit > 0 && sdk.MonoNow()-s.run.BeginNs() >= limit
		wait := due - sdk.MonoNow()
		if wait <= 0 || ends {
			if more, err := s.next(ctx, due); err != nil || !more {
				return err
			}
			index++
			continue
		}
		timer.Reset(min(time.Duration(wait), stopPoll))
		select {
		case o := <-s.outcomes:
			s.complete(o)
		case <-s.over:
			return nil
		case <-timer.C:
		}
	}
}

// batches sends each pass all at once.
func (s *serving) batches(ctx context.Context) error {
	for pass := range s.run.Passes(ctx) {
		begin, err := s.edge()
		if err != nil {
			return err
		}
		pass.BeginAt(begin)
		for i, item := range pass.Items {
			if err := s.send(pass.First+uint32(i), item, 0); err != nil {
				return err
			}
		}
		for len(s.intended) > 0 {
			select {
			case o := <-s.outcomes:
				s.complete(o)
			case <-s.over:
				return s.ended(ctx)
			}
		}
		end, err := s.edge()
		if err != nil {
			return err
		}
		pass.EndAt(end)
	}
	return nil
}

// edge is a stamp after a synchronisation of the device.
func (s *serving) edge() (int64, error) {
	if err := s.worker.Tell("edge", nil, nil); err != nil {
		return 0, err
	}
	select {
	case ns := <-s.edges:
		return ns, nil
	case <-s.over:
		// An aborted call ends without; nothing runs any more.
		return sdk.MonoNow(), nil
	}
}
