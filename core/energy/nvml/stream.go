package nvml

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// mostFailures is how often in a row a sensor may fail, about a second apart,
// before it is given up.
const (
	mostFailures  = 5
	failurePeriod = time.Second
)

// Stream reads until ctx ends or Close is called. A GPU that is lost delivers
// nothing more, not even a watermark, so that no window that needs it can be
// computed; the event gpu_lost says why. The others go on. When no sensor
// is left the stream ends with an error.
func (s *Source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	s.mu.Lock()
	if s.readers == nil || s.stop != nil {
		s.mu.Unlock()
		return &sdk.Error{Code: sdk.CallOrder, Phase: "stream nvml", Message: "it is not open, or has been streamed already"}
	}
	streamCtx, stop := context.WithCancel(ctx)
	s.stop = stop
	s.calls.Add(1)
	readers := s.readers
	s.mu.Unlock()
	defer s.calls.Done()
	defer stop()

	st := stream{events: &s.events, clock: s.clock, emit: emit, stop: stop}
	var running sync.WaitGroup
	for _, r := range readers {
		gpuCtx, lose := context.WithCancel(streamCtx)
		defer lose()
		for _, x := range r.sensors {
			running.Go(func() {
				if err := st.run(gpuCtx, r, x); err != nil {
					st.end(gpuCtx, lose, r, err)
				}
			})
		}
	}
	running.Wait()
	if st.refused != nil {
		return st.refused
	}
	if streamCtx.Err() != nil {
		return nil
	}
	return &sdk.Error{Code: sdk.DeviceMissing, Phase: "stream nvml", Message: "no sensor is left: " + st.last, Advice: "look for Xid errors in `dmesg`; a lost GPU needs a reset or a reboot"}
}

// stream is one Stream under way.
type stream struct {
	events *eventLog
	clock  clocks
	stop   context.CancelFunc

	mu      sync.Mutex
	emit    func(sdk.SampleBatch) error
	refused error  // what emit said
	last    string // why the last sensor ended
}

// run steps one sensor until ctx ends (nil) or it fails for good.
func (st *stream) run(ctx context.Context, r *reader, x sensor) error {
	var wake <-chan struct{}
	if w, ok := x.(interface{ wake() <-chan struct{} }); ok {
		wake = w.wake()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-wake:
		}
		batches, next, err := x.step()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			failures++
			if errors.Is(err, errLost) || failures >= mostFailures {
				return err
			}
			st.events.add(Event{Code: EventReadFailed, UUID: r.gpu.UUID(), Message: err.Error(), MonoNs: st.clock.mono()})
			next = max(next, st.clock.mono()+int64(failurePeriod))
		} else {
			failures = 0
		}
		if !st.deliver(batches) {
			return nil
		}
		timer.Reset(time.Duration(next - st.clock.mono()))
	}
}

// deliver hands batches on, one at a time; false = the receiver refused.
func (st *stream) deliver(batches []sdk.SampleBatch) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, b := range batches {
		if st.refused != nil {
			return false
		}
		if err := st.emit(b); err != nil {
			st.refused = err
			st.stop()
			return false
		}
	}
	return true
}

// end notes that a sensor delivers nothing more, and ends its fellows if the GPU
// is lost.
func (st *stream) end(ctx context.Context, lose context.CancelFunc, r *reader, why error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if ctx.Err() != nil {
		return // a fellow was first, or the stream ends
	}
	st.last = r.gpu.UUID() + ": " + why.Error()
	e := Event{Code: EventSensorEnded, UUID: r.gpu.UUID(), MonoNs: st.clock.mono(),
		Message: fmt.Sprintf("%v, %d times in a row; windows that need this sensor fail from now on", why, mostFailures)}
	if errors.Is(why, errLost) {
		e.Code, e.Message = EventGPULost, fmt.Sprintf("%v; nothing more is read from this GPU, and windows that need it fail", why)
		lose()
	}
	st.events.add(e)
}
