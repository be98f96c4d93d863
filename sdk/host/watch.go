package host

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// A stream is given up after this many periods, and some seconds on top, of
// silence: a busy machine may delay a few heartbeats.
const (
	lostPeriods = 3
	lostGrace   = 2 * time.Second
)

// mostWatchPeriod is how late, at most, a silence is noticed.
const mostWatchPeriod = 250 * time.Millisecond

// watch is the watchdog of one stream. It counts silence only while the host
// listens: a host that is slow with what it heard is not the plugin's fault.
type watch struct {
	plugin *Plugin
	phase  string
	last   atomic.Int64
	busy   atomic.Bool  // the host deals with an event
	silent atomic.Int64 // ns of silence when the stream was given up; 0 = not
	done   chan struct{}
}

// watch gives a stream up, by calling cancel, when nothing has come for too
// long.
func (p *Plugin) watch(ctx context.Context, cancel context.CancelFunc, phase string, period time.Duration) *watch {
	w := &watch{plugin: p, phase: phase, done: make(chan struct{})}
	w.last.Store(sdk.MonoNow())
	limit := int64(lostPeriods*period + lostGrace)
	go func() {
		ticker := time.NewTicker(min(period, mostWatchPeriod))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.done:
				return
			case <-ticker.C:
				if silent := sdk.MonoNow() - w.last.Load(); silent > limit && !w.busy.Load() {
					w.silent.Store(silent)
					p.lost.Store(true)
					cancel()
					return
				}
			}
		}
	}()
	return w
}

// during runs the host's own handling of an event.
func (w *watch) during(handle func()) {
	w.busy.Store(true)
	handle()
	w.last.Store(sdk.MonoNow())
	w.busy.Store(false)
}

func (w *watch) stop() { close(w.done) }

// heard notes a sign of life, and returns an error if the stream had been
// given up before it.
func (w *watch) heard() error {
	if silent := w.silent.Load(); silent != 0 {
		return &LostError{Plugin: w.plugin.name(), Phase: w.phase, Silent: time.Duration(silent)}
	}
	w.last.Store(sdk.MonoNow())
	return nil
}

// Bounds of a well-behaved stream: a flood costs the host's CPU, which is the
// machine under measurement.
const (
	freeMessages      = 10_000
	messagesPerSecond = 1_000
)

// floodGauge counts the messages of a stream against time and substance.
type floodGauge struct {
	messages int64
	begin    int64
}

// tooMany counts a message. period is that of the heartbeats, units what the
// stream has brought so far in completions.
func (g *floodGauge) tooMany(period time.Duration, units int64) bool {
	if g.begin == 0 {
		g.begin = sdk.MonoNow()
	}
	g.messages++
	rate := messagesPerSecond + 2/period.Seconds()
	return float64(g.messages) > freeMessages+rate*g.seconds()+4*float64(units)
}

func (g *floodGauge) seconds() float64 { return float64(sdk.MonoNow()-g.begin) / 1e9 }
