package nvml

import (
	"fmt"
	"sync"
)

// Event is something that a result should tell about the sensors: none of them
// is an error by itself, and the samples concerned are left out, counted as
// dropped or mapped with care before the event is written.
type Event struct {
	// Code is one of the Event constants.
	Code string
	// UUID of the GPU, or "" for all.
	UUID    string
	Message string
	// MonoNs is when it was noticed, CLOCK_MONOTONIC.
	MonoNs int64
	// Count is the number of samples concerned, or 0.
	Count uint64
}

// Codes of Events.
const (
	EventClockStep        = "clock_step"        // the wall clock, which stamps the ring, was set
	EventRingRetimed      = "ring_retimed"      // the driver's stamps were wrong, and its samples were placed by number
	EventRingLate         = "ring_late"         // the ring was overwritten before it was drained
	EventCounterRestarted = "counter_restarted" // the energy counter fell: driver reload
	EventGPULost          = "gpu_lost"          // the GPU delivers nothing any more
	EventReadFailed       = "read_failed"       // a sensor call failed and is tried again
	EventSensorEnded      = "sensor_ended"      // a sensor failed too often and is given up
	EventSamplesRefused   = "samples_refused"   // values or stamps that no sensor can mean
	EventGPUUnreadable    = "gpu_unreadable"    // a visible GPU has no readable energy sensor
	EventVisibleDevices   = "visible_devices"   // CUDA_VISIBLE_DEVICES does not say clearly which GPUs
	EventCacheUnwritable  = "cache_unwritable"  // the characterisation could not be kept
	EventEventsLeftOut    = "events_left_out"   // there were more events than are kept
)

// mostEvents is an event a minute for more than two days.
const mostEvents = 4096

// eventLog keeps events in the order in which they were noticed.
type eventLog struct {
	mu      sync.Mutex
	list    []Event
	leftOut uint64
}

func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) < mostEvents {
		l.list = append(l.list, e)
		return
	}
	l.leftOut++
	l.list[mostEvents-1] = Event{
		Code: EventEventsLeftOut, MonoNs: e.MonoNs, Count: l.leftOut,
		Message: fmt.Sprintf("%d events were left out, the last of them %s: %s", l.leftOut, e.Code, e.Message),
	}
}

func (l *eventLog) since(ns int64) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Event
	for _, e := range l.list {
		if e.MonoNs >= ns {
			out = append(out, e)
		}
	}
	return out
}
