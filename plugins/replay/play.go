package main

import (
	"context"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

const (
	// leastWait is how often samples are sent at most, and mostWait how often
	// watermarks are moved at least.
	leastWait = 10 * time.Millisecond
	mostWait  = 100 * time.Millisecond
)

// Stream implements sdk.EnergySource. What was recorded until now is sent at
// once, the rest when its time comes. After the end the watermark stands still.
func (s *source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	for _, v := range s.voices {
		v.emit = func(b sdk.SampleBatch) error {
			if err := ctx.Err(); err != nil {
				return err // the rest may be hours long
			}
			return emit(b)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait, more := mostWait, false
		for _, v := range s.voices {
			next, ok, err := v.play(sdk.MonoNow() - s.offsetNs)
			if err != nil {
				return s.broke(err)
			}
			if ok {
				more = true
				wait = min(wait, time.Duration(next+s.offsetNs-sdk.MonoNow()))
			}
		}
		if !more {
			<-ctx.Done()
			return nil
		}
		timer.Reset(max(wait, leastWait))
	}
}
