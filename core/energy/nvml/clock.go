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

// Both clocks are slewed alike by NTP, so their offset moves only when somebody
// sets the wall clock.
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
