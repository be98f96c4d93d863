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
	stamps := func(k int) []int64 {
		out := make([]int64, len(samples))
		for i, s := range samples {
			out[i] = int64(s.WallUs)*1000 + newOffset
			if i < k {
				out[i] = int64(s.WallUs)*1000 + oldOffset
			}
		}
		return out
	}
	var best []int64
	fewest, least := math.MaxInt, int64(math.MaxInt64)
	for k := range len(samples) + 1 {
		list := stamps(k)
		wrong, worst, before := 0, int64(0), afterNs
		for i, ns := range list {
			if ns <= before || ns > untilNs {
				wrong++
			}
			if i > 0 || afterNs > 0 {
				worst = max(worst, max(ns-before-periodNs, periodNs-(ns-before)))
			}
			before = ns
		}
		if wrong < fewest || wrong == fewest && worst < least {
			best, fewest, least = list, wrong, worst
		}
	}
	return best
}
