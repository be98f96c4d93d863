package nvml

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// What the ring is known to do (H100 and H200, driver 580), used until it is
// learned on the GPU at hand. Its newest entry is up to one update and a few
// milliseconds old.
const (
	ringPeriod   = time.Second
	ringUpdateNs = int64(20e6)
	ringDepth    = 119
)

// ring drains a GPU's ring of total power samples.
type ring struct {
	gpu    gpu
	domain string
	clock  clocks
	events *eventLog
	// mostMilliW is above everything that the GPU can draw.
	mostMilliW uint64
	periodNs   int64
	depth      int

	sequence    uint64
	lastUs      uint64 // the newest stamp taken, as the driver gave it
	lastMilliW  uint64
	lastNs      int64 // its stamp, mapped
	lastDrainNs int64
	timing      timing
	dropped     uint64 // to be told with the next batch
}

// errEmptyRing is what a GPU shows that has the call and keeps no samples.
var errEmptyRing = errors.New("the ring stays empty")

// wholeRing reads the ring once it holds something, for a driver that was loaded a
// moment ago fills it only now.
func wholeRing(ctx context.Context, g gpu) ([]ringSample, error) {
	for range 20 {
		samples, err := g.PowerRing(0)
		if err != nil {
			return nil, err
		}
		samples = slices.DeleteFunc(samples, func(s ringSample) bool { return s.WallUs == 0 || s.MilliW == 0 || s.MilliW == noMilliW })
		if len(samples) > 0 {
			return samples, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(ringUpdateNs)):
		}
	}
	return nil, errEmptyRing
}

// drainNs is the time from one drain to the next: the usual one, and no more than what
// half of the ring holds.
func (r *ring) drainNs() int64 { return min(int64(ringPeriod), int64(r.depth)*r.periodNs/2) }

// step drains the ring.
func (r *ring) step() ([]sdk.SampleBatch, int64, error) {
	begin := r.clock.mono()
	next := begin + r.drainNs()
	whole := r.timing.doubtful(begin)
	since := r.lastUs
	if whole {
		since = 0
	}
	samples, err := r.gpu.PowerRing(since)
	if err != nil {
		return nil, next, fmt.Errorf("drain the power ring: %w", err)
	}
	step := r.timing.pair(r.clock)
	if step != 0 {
		r.events.add(Event{Code: EventClockStep, UUID: r.gpu.UUID(), MonoNs: begin,
			Message: fmt.Sprintf("the wall clock was set by %.3f ms since the drain before; the driver's stamps are checked against the clock that nobody sets", float64(step)/1e6)})
		r.timing.doubtUntilNs = begin + doubtNs
		if samples, err = r.gpu.PowerRing(0); err != nil {
			return nil, next, fmt.Errorf("drain the power ring after the wall clock was set: %w", err)
		}
		whole = true
	}
	now := r.clock.mono()
	var bad refusals
	samples = bad.zeros(samples)
	if whole {
		samples = r.timing.unseen(samples, now, r.periodNs)
	} else {
		samples = r.order(samples, &bad)
	}
	stamps, trusted := r.timing.place(samples, whole, r.lastNs, now, r.periodNs)
	if !trusted {
		r.events.add(Event{Code: EventRingRetimed, UUID: r.gpu.UUID(), MonoNs: now, Count: uint64(len(samples)),
			Message: "the driver's stamps do not follow the clocks, as happens after the wall clock was set; samples were placed by their number, to about a period"})
		r.timing.doubtUntilNs = begin + doubtNs
	}
	if r.timing.unfollowed() {
		r.timing.doubtUntilNs = begin + doubtNs
	}
	late := r.lastDrainNs > 0 && begin-r.lastDrainNs > int64(r.depth)*r.periodNs
	r.lastDrainNs = begin
	batches := r.batches(samples, stamps, now, late, &bad)
	bad.report(r.events, r.gpu.UUID(), now)
	return batches, next, nil
}

// order sorts new samples and leaves repeats out. NVML refits its stamps now and
// then, so that the newest sample of the last drain may come again with a stamp
// that is some microseconds later: that is no fault and is not counted.
func (r *ring) order(samples []ringSample, bad *refusals) []ringSample {
	byStamp := func(a, b ringSample) int { return cmp.Compare(a.WallUs, b.WallUs) }
	if !slices.IsSortedFunc(samples, byStamp) {
		bad.unordered++
		slices.SortStableFunc(samples, byStamp)
	}
	var out []ringSample
	last, again := r.lastUs, r.lastUs+uint64(r.periodNs)/8000
	for _, s := range samples {
		switch {
		case s.WallUs <= last:
			bad.repeated++
		case s.WallUs <= again && s.MilliW == r.lastMilliW && len(out) == 0:
		default:
			last = s.WallUs
			out = append(out, s)
		}
	}
	return out
}

// batches checks values and stamps. A refused value starts a new batch, so that
// the loss is noted where it happened.
func (r *ring) batches(samples []ringSample, stamps []int64, nowNs int64, late bool, bad *refusals) []sdk.SampleBatch {
	var out []sdk.SampleBatch
	open := false
	for i, s := range samples {
		ns := stamps[i]
		if ns <= r.lastNs || ns > nowNs {
			bad.misplaced++
			continue
		}
		if late {
			late = false
			if missing := (ns-r.lastNs+r.periodNs/2)/r.periodNs - 1; missing > 0 && r.lastNs > 0 {
				r.dropped += uint64(missing)
				r.events.add(Event{Code: EventRingLate, UUID: r.gpu.UUID(), MonoNs: nowNs, Count: uint64(missing),
					Message: fmt.Sprintf("the power ring, %d samples deep, was drained too late: about %d samples are lost after %d ns", r.depth, missing, r.lastNs)})
			}
		}
		r.lastNs, r.lastUs, r.lastMilliW = ns, s.WallUs, s.MilliW
		if s.MilliW == 0 || s.MilliW > r.mostMilliW {
			bad.absurd++
			r.dropped++
			open = false
			continue
		}
		if !open {
			out = append(out, sdk.SampleBatch{DomainID: r.domain, Sequence: r.sequence, Dropped: r.dropped})
			r.sequence++
			r.dropped, open = 0, true
		}
		b := &out[len(out)-1]
		b.MonoNs, b.Values, b.CompleteUntilNs = append(b.MonoNs, ns), append(b.Values, int64(s.MilliW)), ns
	}
	return out
}

// refusals counts what was left out of one drain.
type refusals struct{ zero, repeated, unordered, misplaced, absurd uint64 }

// zeros leaves unused entries out.
func (b *refusals) zeros(samples []ringSample) []ringSample {
	return slices.DeleteFunc(slices.Clone(samples), func(s ringSample) bool {
		if s.WallUs == 0 || s.WallUs > math.MaxInt64/1000 {
			b.zero++
			return true
		}
		return false
	})
}

func (b *refusals) report(events *eventLog, uuid string, nowNs int64) {
	sum := b.zero + b.repeated + b.unordered + b.misplaced + b.absurd
	if sum == 0 {
		return
	}
	events.add(Event{Code: EventSamplesRefused, UUID: uuid, MonoNs: nowNs, Count: sum, Message: fmt.Sprintf(
		"the power ring gave %d entries without a usable stamp, %d repeated stamps, %d lists out of order, %d stamps outside their time, %d impossible values; none became joules",
		b.zero, b.repeated, b.unordered, b.misplaced, b.absurd)})
}
