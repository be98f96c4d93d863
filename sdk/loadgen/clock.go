package loadgen

import (
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// stampClock maps the kernel's receive stamps, which are CLOCK_REALTIME, to
// CLOCK_MONOTONIC. Both clocks are read together at every receive, so the
// constant between them is never old. The wall clock may be slewed (followed)
// or set (noticed: stamps from before the moment of noticing are refused,
// since nobody knows which of the two constants they need).
type stampClock struct {
	pair     func() (monoNs, wallNs int64)
	offset   int64 // mono - wall
	atNs     int64 // when offset was last confirmed, monotonic
	settled  int64 // stamps before it are ambiguous
	steps    int   // how often the wall clock was set
	resolved int   // pairs read again because they did not agree
}

// Two readings of one pair may lie this far apart without a step: the time
// that two vDSO calls take, and the slew that adjtimex(2) permits.
const (
	pairSlackNs = 5_000
	slewPerNs   = 1_000 // 1 ns in 1,000: twice the kernel's 500 ppm
	pairTries   = 8
)

func readPair() (monoNs, wallNs int64) {
	t := time.Now()
	return sdk.MonoAt(t), t.UnixNano()
}

func newStampClock(pair func() (monoNs, wallNs int64)) *stampClock {
	c := &stampClock{pair: pair}
	c.offset, c.atNs = c.narrowest()
	return c
}

// now returns CLOCK_MONOTONIC and confirms the offset.
func (c *stampClock) now() int64 {
	mono, wall := c.pair()
	if raw := mono - wall; c.agrees(raw, mono) {
		c.offset, c.atNs = raw, mono
		return mono
	}
	// Descheduled between the two readings, or the wall clock was set.
	c.resolved++
	offset, at := c.narrowest()
	if !c.agrees(offset, at) {
		c.steps++
		c.settled = at
	}
	c.offset, c.atNs = offset, at
	return at
}

func (c *stampClock) agrees(offset, atNs int64) bool {
	diff := offset - c.offset
	return max(diff, -diff) <= pairSlackNs+(atNs-c.atNs)/slewPerNs
}

// narrowest takes several pairs and trusts the one whose neighbours are
// closest in monotonic time.
func (c *stampClock) narrowest() (offset, atNs int64) {
	before, _ := c.pair()
	width := int64(1<<63 - 1)
	for range pairTries {
		mono, wall := c.pair()
		if mono-before < width {
			width, offset, atNs = mono-before, mono-wall, mono
		}
		before = mono
	}
	return offset, atNs
}

// kernel maps a receive stamp. It is not ok if the wall clock was set in
// between, or if the result lies after nowNs, which the caller has just read.
func (c *stampClock) kernel(wallNs, nowNs int64) (stampNs int64, ok bool) {
	stampNs = wallNs + c.offset
	if stampNs > nowNs {
		return min(stampNs, nowNs), stampNs-nowNs <= pairSlackNs
	}
	return stampNs, stampNs >= c.settled
}
