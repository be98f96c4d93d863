package engine

import (
	"context"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// stream is a Run in which sequences join and leave from step to step.
type stream struct {
	*Engine
	run     *sdk.Run
	next    int  // index of the item to send next
	more    bool // there may be more to send
	nowNs   int64
	waiting []*sequence
	running []*sequence
}

// continuous runs a closed or an open loop.
func (e *Engine) continuous(ctx context.Context, run *sdk.Run) error {
	s := &stream{Engine: e, run: run, next: int(run.Spec().First), more: true, nowNs: sdk.MonoNow()}
	for {
		s.send(ctx)
		admitted := s.admit()
		if len(s.running) == 0 {
			if !s.more {
				return nil
			}
			if err := s.idle(ctx); err != nil {
				return err
			}
			continue
		}
		if ok, err := s.advance(ctx, admitted); !ok {
			e.abort(run, append(s.running, s.waiting...))
			return err
		}
	}
}

// send takes the requests that are due by now. The simulated client is no
// part of the engine: it sends at the very moment, also during a step.
func (s *stream) send(ctx context.Context) {
	for s.more {
		sentNs := s.nowNs
		if s.run.Spec().Loop == sdk.LoopClosed {
			if len(s.waiting)+len(s.running) >= int(s.run.Spec().Concurrency) {
				return
			}
		} else if s.next < len(s.run.Work().Items) {
			if sentNs = s.arrivalNs(); sentNs > s.nowNs {
				return
			}
		}
		request, ok := s.run.Next(ctx)
		if !ok {
			s.more = false
			return
		}
		s.next++
		sequence := newSequence(request, sentNs, s.run.Work())
		sequence.done.IntendedNs = sentNs
		s.waiting = append(s.waiting, sequence)
	}
}

// arrivalNs is when the next request of an open loop is to be sent.
func (s *stream) arrivalNs() int64 {
	return s.run.BeginNs() + s.run.Work().Items[s.next].ArrivalOffsetNs
}

// admit fills the free slots and returns how many sequences are new.
func (s *stream) admit() int {
	free := min(s.batchSize-len(s.running), len(s.waiting))
	s.running = append(s.running, s.waiting[:free]...)
	s.waiting = s.waiting[free:]
	return free
}

// idlePollNs is how often an idle open loop looks for a Stop.
const idlePollNs = int64(5e6)

// idle waits for the next arrival, or until the Run is over.
func (s *stream) idle(ctx context.Context) error {
	if err := s.disturb(ctx, s.run); err != nil {
		return err
	}
	arrivalNs, limitNs := s.arrivalNs(), s.run.Spec().MaxDurationNs
	waitUntil(ctx, min(arrivalNs, sdk.MonoNow()+idlePollNs))
	past := limitNs > 0 && sdk.MonoNow()-s.run.BeginNs() >= limitNs
	if ctx.Err() != nil || past || s.run.Stopping() != sdk.StopNone {
		_, _ = s.run.Next(ctx) // says no, and keeps the reason
		s.more = false
		return nil //nolint:nilerr // the end of ctx is an ordinary end
	}
	if arrivalNs <= sdk.MonoNow() {
		s.nowNs = max(s.nowNs, arrivalNs)
	}
	return nil
}

// advance runs one step; the last admitted of the running take in prompts.
func (s *stream) advance(ctx context.Context, admitted int) (ok bool, err error) {
	l := load{prefilling: admitted, decoding: len(s.running) - admitted}
	for _, sequence := range s.running[l.decoding:] {
		l.promptTokens += len(sequence.request.Item.TokenIDs)
	}
	if s.nowNs, ok, err = s.step(ctx, s.run, s.nowNs, l); !ok {
		return false, err
	}
	s.running = slices.DeleteFunc(s.running, func(sequence *sequence) bool {
		sequence.token(s.nowNs, s.run.Spec().Record)
		if sequence.over() {
			s.complete(s.run, sequence)
		}
		return sequence.completed
	})
	return true, nil
}
