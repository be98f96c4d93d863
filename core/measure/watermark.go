package measure

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// A watermark that makes no progress for this long stands still: some seconds,
// or many update periods of a slow sensor, or twice the longest time that it
// ever took to go on, for a source that delivers rarely.
const (
	standstillLimit   = 5 * time.Second
	standstillPeriods = 20
	standstillTimes   = 2
)

// Codes of doubts about a source as a whole.
const (
	codeSourceStuck   = "source_stuck"   // a watermark stands still
	codeSourceStopped = "source_stopped" // its stream ended early
)

// watermark knows when a domain's watermark last went on.
type watermark struct {
	mu        sync.Mutex
	untilNs   int64
	movedNs   int64 // when it last went on, or the stream began
	longestNs int64 // between two such moments
	moved     bool
	stuckNs   int64 // for how long it was seen to stand still; 0 = never
}

func (w *watermark) begin(nowNs int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.movedNs = nowNs
}

// advance notes the watermark of a batch that has come.
func (w *watermark) advance(untilNs, nowNs int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if untilNs <= w.untilNs {
		return
	}
	if w.moved {
		w.longestNs = max(w.longestNs, nowNs-w.movedNs)
	}
	w.untilNs, w.movedNs, w.moved = untilNs, nowNs, true
}

// standsStill looks whether the watermark stands still now. That it did is
// remembered, also when it goes on later.
func (w *watermark) standsStill(d energy.Domain, limit time.Duration, nowNs int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	bound := max(int64(limit), standstillPeriods*d.UpdateNs, standstillTimes*w.longestNs)
	if !w.moved {
		bound += d.FirstSampleNs
	}
	if nowNs-w.movedNs <= bound {
		return false
	}
	w.stuckNs = max(w.stuckNs, nowNs-w.movedNs)
	return true
}

func (w *watermark) wasStuckNs() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stuckNs
}

// stuck looks which domains' watermarks stand still, by id, and remembers it.
func (r *recorder) stuck(nowNs int64) map[string]bool {
	limit := r.standstill
	if limit == 0 {
		limit = standstillLimit
	}
	stuck := map[string]bool{}
	for _, s := range r.sources {
		for _, f := range s.feeds {
			if r.failure(s.Name) == nil && f.mark.standsStill(f.domain, limit, nowNs) {
				stuck[f.domain.ID] = true
			}
		}
	}
	return stuck
}

// broken lists the sources that must be started again: those whose streams
// have ended early, and those of which a watermark was seen to stand still.
func (r *recorder) broken() []string {
	var names []string
	for _, s := range r.sources {
		broken := r.failure(s.Name) != nil
		for _, f := range s.feeds {
			broken = broken || f.mark.wasStuckNs() > 0
		}
		if broken {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// doubts says which sources broke during a trial, and how.
func (r *recorder) doubts() []energy.Warning {
	r.stuck(sdk.MonoNow())
	var doubts []energy.Warning
	for _, s := range r.sources {
		if err := r.failure(s.Name); err != nil {
			code := codeSourceStopped
			if sdk.CodeOf(err) == host.SourceFlood {
				code = string(host.SourceFlood)
			}
			doubts = append(doubts, energy.Warning{Code: code, Severity: energy.SeverityWarning, Message: fmt.Sprintf("energy source %s stopped: %v", s.Name, err)})
		}
		for _, d := range s.domains {
			for _, f := range s.feeds {
				if ns := f.mark.wasStuckNs(); f.domain.ID == d.ID && ns > 0 {
					doubts = append(doubts, energy.Warning{Code: codeSourceStuck, Severity: energy.SeverityWarning, Domain: d.ID, Message: fmt.Sprintf(
						"the watermark of domain %s stood still for %.1f s, so nothing was known of its energy; source %s is started again before the next trial", d.ID, float64(ns)/1e9, s.Name)})
				}
			}
		}
	}
	return doubts
}

// watermarkPoll is how often the watermarks are looked at, after a Run.
const watermarkPoll = 20 * time.Millisecond

// waitUntil waits until every domain is complete until untilNs, at most limit;
// a source whose stream has ended, or whose watermark stands still, is not
// waited for. It returns the recordings as they are then: a window that is not
// covered says so itself.
func (r *recorder) waitUntil(ctx context.Context, untilNs int64, limit time.Duration) map[string]*energy.Trace {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(watermarkPoll)
	defer tick.Stop()
	for {
		traces := r.traces()
		if r.complete(traces, untilNs) {
			return traces
		}
		select {
		case <-ctx.Done():
			return traces
		case <-deadline.C:
			return traces
		case <-tick.C:
		}
	}
}

func (r *recorder) complete(traces map[string]*energy.Trace, untilNs int64) bool {
	stuck := r.stuck(sdk.MonoNow())
	for id, trace := range traces {
		if stuck[id] || r.failure(trace.Domain.Source) != nil {
			continue
		}
		need := trace.Domain.NeededUntilNs(untilNs)
		if trace.Domain.UpdateNs == 0 {
			need += 2 * trace.PeriodNs()
		}
		if trace.CompleteUntilNs < need {
			return false
		}
	}
	return true
}
