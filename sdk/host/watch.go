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

// watch is the watchdog of one stream.
type watch struct {
	plugin *Plugin
	phase  string
	last   atomic.Int64
	silent atomic.Int64 // ns of silence when the stream was given up; 0 = not
	done   chan struct{}
}

// watch gives a stream up, by calling cancel, when nothing has come for too
// long.
func (p *Plugin) watch(ctx context.Context, cancel context.CancelFunc, phase string, period time.Duration) *watch {
	w := &watch{plugin: p, phase: phase, done: make(chan struct{})}
	w.alive()
	limit := int64(lostPeriods*period + lostGrace)
	go func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.done:
				return
			case <-ticker.C:
				if silent := sdk.MonoNow() - w.last.Load(); silent > limit {
					w.silent.Store(silent)
					cancel()
					return
				}
			}
		}
	}()
	return w
}

func (w *watch) alive() { w.last.Store(sdk.MonoNow()) }

func (w *watch) stop() { close(w.done) }

// lost returns the error if the stream was given up.
func (w *watch) lost() error {
	silent := w.silent.Load()
	if silent == 0 {
		return nil
	}
	return &LostError{Plugin: w.plugin.description.Name, Phase: w.phase, Silent: time.Duration(silent)}
}
