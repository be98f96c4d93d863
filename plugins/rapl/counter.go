package main

// counter makes one rising count of a register that wraps around.
//
// The register restarts at 0 behind rangeUJ (66 to 262 kJ: minutes under
// load), and for other reasons after a driver reload or a sleep. A wrap is
// unwrapped; any other fall, and a rise that no machine could have drawn, is a
// restart: what was used meanwhile is unknown, so a new epoch begins.
type counter struct {
	rangeUJ uint64 // greatest value of the register; 0 = unknown
	mostW   uint64

	started bool
	raw     uint64 // register at the last reading
	atNs    int64

	epoch uint32
	value int64 // microjoules, rising within an epoch
}

// slackNs is added to the time between two readings when a rise is judged: a
// stamp may be off by what the scheduler took while the register was read.
const slackNs = 100_000_000

// add takes one reading of the register. A failed reading must not come here
// as 0, where it would look like a wrap.
func (c *counter) add(raw uint64, atNs int64) {
	rise, ok := c.rise(raw, atNs)
	switch {
	case !c.started:
		c.value = int64(raw)
	case ok:
		c.value += int64(rise)
	default:
		c.epoch++
		c.value = int64(raw)
	}
	c.started, c.raw, c.atNs = true, raw, atNs
}

func (c *counter) rise(raw uint64, atNs int64) (rise uint64, ok bool) {
	// 1 W for 1000 ns is 1 microjoule.
	most := c.mostW * (uint64(atNs-c.atNs+slackNs) / 1000)
	switch {
	case c.rangeUJ > 0 && most >= c.rangeUJ:
		return 0, false // it may have gone round, nobody knows how often
	case raw >= c.raw:
		rise = raw - c.raw
	case c.rangeUJ == 0 || c.raw > c.rangeUJ:
		return 0, false
	default:
		// The step from the greatest value to 0 is one unit of the register
		// (61 uJ or less), which is not known here and left out.
		rise = c.rangeUJ - c.raw + raw
	}
	return rise, rise <= most
}
