package nvml

import (
	"math"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// clocks are the two clocks that the ring's stamps are mapped between.
type clocks struct {
	mono func() int64 // CLOCK_MONOTONIC ns
	wall func() int64 // CLOCK_REALTIME ns
}

func systemClocks() clocks {
	return clocks{mono: sdk.MonoNow, wall: func() int64 { return time.Now().UnixNano() }}
}

// Both clocks are slewed alike by NTP, so their offset stays the same to well
// below a microsecond a second and moves only when somebody sets the wall clock.
const (
	clockStepNs  = int64(1e6)
	widestPairNs = int64(5e5) // a wider bracket cannot tell a step
)

// offset is what to add to a wall-clock stamp in ns, from the narrowest of eight
// bracketed pairs, and the width of that bracket.
func (c clocks) offset() (ns, widthNs int64) {
	widthNs = math.MaxInt64
	for range 8 {
		before := c.mono()
		wall := c.wall()
		width := c.mono() - before
		if width < widthNs {
			ns, widthNs = before+width/2-wall, width
		}
	}
	return ns, widthNs
}

// placeAcrossStep maps samples of which the first k were stamped before the wall
// clock was set and the rest after it; k is not known. It takes the k with which
// the stamps rise, lie in (afterNs, untilNs] and are most evenly spaced.
// Samples are in the order in which they were taken.
func placeAcrossStep(samples []ringSample, oldOffset, newOffset, afterNs, untilNs, periodNs int64) []int64 {
	n := len(samples)
	at := func(i int, offset int64) int64 { return int64(samples[i].WallUs)*1000 + offset }
	step := func(before, ns int64) fit {
		f := fit{}
		if ns <= before || ns > untilNs {
			f.wrong = 1
		}
		if before > 0 {
			f.worst = max(ns-before-periodNs, periodNs-(ns-before))
		}
		return f
	}
	// head[k] is the fit of the first k samples in old stamps, tail[k] that of the
	// samples behind k in new ones.
	head, tail := make([]fit, n+1), make([]fit, n+1)
	for i := range n {
		before := afterNs
		if i > 0 {
			before = at(i-1, oldOffset)
		}
		head[i+1] = head[i].and(step(before, at(i, oldOffset)))
	}
	for i := n - 2; i >= 0; i-- {
		tail[i] = tail[i+1].and(step(at(i, newOffset), at(i+1, newOffset)))
	}
	best, bestFit := n, head[n]
	for k := n - 1; k >= 0; k-- {
		before := afterNs
		if k > 0 {
			before = at(k-1, oldOffset)
		}
		if f := head[k].and(step(before, at(k, newOffset))).and(tail[k]); f.better(bestFit) {
			best, bestFit = k, f
		}
	}
	stamps := make([]int64, n)
	for i := range samples {
		if stamps[i] = at(i, newOffset); i < best {
			stamps[i] = at(i, oldOffset)
		}
	}
	return stamps
}

// fit says how well stamps suit a ring: how many are impossible, and how far the
// worst distance of two is from the period.
type fit struct {
	wrong int
	worst int64
}

func (f fit) and(o fit) fit { return fit{f.wrong + o.wrong, max(f.worst, o.worst)} }

func (f fit) better(o fit) bool {
	return f.wrong < o.wrong || f.wrong == o.wrong && f.worst < o.worst
}
