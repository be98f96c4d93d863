package main

import (
	"context"
	"fmt"
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
// once, the rest when its time comes. The end of a recording that is played in
// its own time is an error; one that was to end at Open has ended as it should,
// and its watermark stands still.
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
		switch {
		case !more && s.endsAtOpen:
			<-ctx.Done()
			return nil
		case !more:
			return &sdk.Error{
				Code: sdk.Internal, KeyPath: "path",
				Message: fmt.Sprintf("the recording %s ended after %.2f s", s.path, float64(s.lengthNs)/1e9),
				Advice:  "set loop = true or take a longer one",
			}
		}
		timer.Reset(max(wait, leastWait))
	}
}
