package engine

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// waitUntil sleeps until an absolute stamp, so that what one sleep is late the
// next one is shorter. It returns false when ctx ends first.
func waitUntil(ctx context.Context, ns int64) bool {
	left := ns - sdk.MonoNow()
	if left <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(time.Duration(left))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// load is what one step holds.
type load struct {
	prefilling    int // sequences whose prompt is taken in
	decoding      int // sequences that get a further token
	promptTokens  int
	promptPadding int // computed only to make prompts equal
	idleSlots     int // of a static batch whose sequences are over
}

func (l load) sequences() int { return l.prefilling + l.decoding + l.idleSlots }

// step runs one step from startNs on and returns its scheduled end. That is in
// the past by then, so that stamps made of it lie inside the Run. ok is false
// if ctx ended first; the step then counts for nothing but its energy.
func (e *Engine) step(ctx context.Context, run *sdk.Run, startNs int64, l load) (endNs int64, ok bool, err error) {
	if err := e.disturb(ctx, run); err != nil {
		return startNs, false, err
	}
	cost := e.timing.costNs(e.counts.nextStep(), l.sequences(), l.promptTokens+l.promptPadding)
	if e.bus != nil {
		watts := e.busyW
		if l.prefilling > 0 {
			watts += e.prefillW
		}
		booked, err := e.bus.Book(startNs, cost, watts)
		if err != nil {
			return startNs, false, err
		}
		e.counts.moved(booked - startNs)
		startNs = booked
	}
	endNs = startNs + cost
	if !waitUntil(ctx, endNs) {
		return endNs, false, nil
	}
	e.counts.add(l)
	run.Step(sdk.Step{EndNs: endNs, PrefillTokens: uint32(l.promptTokens), DecodeTokens: uint32(l.decoding)})
	return endNs, true, nil
}
