package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/sdk"
)

// sequence is a request in flight.
type sequence struct {
	request Request
	result  Result
	slot    int
	entered int // tokens that are in the KV cache
	random  *rand.Rand
}

// prefilling tells whether part of the prompt is still to enter.
func (s *sequence) prefilling() bool { return s.entered < len(s.request.Prompt) }

// server is one call of Serve.
type server struct {
	engine  *Engine
	job     Job
	sampler sampler
	free    []int // slots
	queue   []*sequence
	running []*sequence // in the order of their admission
	dry     bool        // Next has said so
	rows    []row       // of the step; kept for its memory, like fresh
	fresh   []*sequence // those that get a token from the step
}

// Serve runs the job's requests until Next has no more and all have ended. If
// ctx ends, those in flight are done as Aborted before the next step, and the
// cause of ctx is returned. A failed step fails all that were in flight, and
// is returned.
func (e *Engine) Serve(ctx context.Context, job Job) error {
	s := &server{engine: e, job: job, sampler: sampler{Sampling: job.Sampling}}
	for slot := range e.Options.BatchSize {
		s.free = append(s.free, e.Options.BatchSize-1-slot)
	}
	for {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), s.endAll(Aborted, nil))
		}
		s.admit()
		if len(s.running) == 0 {
			return nil
		}
		if err := s.step(); err != nil {
			return errors.Join(err, s.endAll(Failed, err))
		}
	}
}

// admit takes requests and gives them slots.
func (s *server) admit() {
	for !s.dry && len(s.queue)+len(s.running) < s.job.InFlight {
		request, ok := s.job.Next()
		if !ok {
			s.dry = true
			break
		}
		result := Result{Index: request.Index, SentNs: sdk.MonoNow()}
		if err := s.engine.Accepts(request); err != nil {
			result.Reason, result.Err = Failed, err
			s.job.Done(result)
			continue
		}
		s.queue = append(s.queue, &sequence{request: request, result: result, random: s.randomFor(request)})
	}
	for len(s.queue) > 0 && len(s.free) > 0 {
		next := s.queue[0]
		next.slot = s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		s.queue = s.queue[1:]
		s.running = append(s.running, next)
	}
}

// randomFor makes what is drawn depend on the request, not on its neighbours.
func (s *server) randomFor(r Request) *rand.Rand {
	if s.job.Sampling.Temperature == 0 {
		return nil
	}
	return rand.New(rand.NewPCG(uint64(s.job.Sampling.Seed), uint64(r.Index)))
}

// Accepts returns why a request cannot be run, or nil.
func (e *Engine) Accepts(r Request) error {
	switch {
	case len(r.Prompt) == 0:
		return fmt.Errorf("request %d: the prompt is empty", r.Index)
	case r.MaxTokens < 1:
		return fmt.Errorf("request %d: %d output tokens asked for; the least is 1", r.Index, r.MaxTokens)
	case len(r.Prompt)+r.MaxTokens > e.Options.Context:
		return fmt.Errorf("request %d: %d prompt and %d output tokens do not fit the context of %d; raise `context`",
			r.Index, len(r.Prompt), r.MaxTokens, e.Options.Context)
	}
	for i, id := range r.Prompt {
		if int64(id) >= int64(e.Facts.Vocab) {
			return fmt.Errorf("request %d: token %d has the id %d; the vocabulary ends at %d", r.Index, i, id, e.Facts.Vocab-1)
		}
	}
	return nil
}
