package nvml

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// How the energy counter is read. A call costs 6 ms of CPU, so beside a ring it
// is read every 10 s and in bursts around marks.
const (
	counterUpdateNs     = int64(100e6)
	counterDensePeriod  = 100 * time.Millisecond // without a ring
	counterSparsePeriod = 10 * time.Second
	burstPeriod         = 20 * time.Millisecond
	// watermarkPeriod is how often a sparse counter says that nothing is missing.
	watermarkPeriod = time.Second
	leastPause      = 5 * time.Millisecond
)

// counter reads a GPU's energy counter.
type counter struct {
	gpu        gpu
	domain     string
	clock      clocks
	events     *eventLog
	mostMilliW uint64
	updateNs   int64
	// dense reads for ever at counterDensePeriod: there is no ring.
	dense bool

	marked atomic.Bool
	wakeup chan struct{} // of capacity 1

	sequence   uint64
	epoch      uint32
	last       counterRead
	lastTried  int64
	burstBegin int64
	bursting   bool
}

type counterRead struct {
	ns     int64
	milliJ uint64
	known  bool
}

// mark asks for a burst; see Source.Mark.
func (c *counter) mark() {
	if c.dense {
		return
	}
	c.marked.Store(true)
	select {
	case c.wakeup <- struct{}{}:
	default: // it is awake already
	}
}

func (c *counter) wake() <-chan struct{} { return c.wakeup }

// A burst sees the changes on both sides of edgeAfterNs. It ends with a change
// once it has lasted for the lesser of burstNs, and at the greater whatever comes.
func (c *counter) edgeAfterNs() int64 { return c.updateNs * 3 / 2 }

func (c *counter) burstNs() (least, most int64) { return c.updateNs * 9 / 4, c.updateNs * 9 / 2 }

// step reads if a read is due, else only moves the watermark.
func (c *counter) step() ([]sdk.SampleBatch, int64, error) {
	now := c.clock.mono()
	if c.marked.Swap(false) {
		c.burstBegin, c.bursting = now, true
	}
	sparseDue := c.lastTried + int64(counterSparsePeriod)
	if !c.dense && !c.bursting && c.lastTried > 0 && now < sparseDue {
		batch := c.batch(now)
		return []sdk.SampleBatch{batch}, min(now+int64(watermarkPeriod), sparseDue), nil
	}
	before := c.last
	batch, err := c.read()
	c.lastTried = now
	changed := before.known && c.last.milliJ != before.milliJ
	pause := int64(counterDensePeriod)
	if !c.dense {
		pause = int64(watermarkPeriod)
	}
	if c.bursting {
		pause = int64(burstPeriod)
		if changed && before.ns >= c.burstBegin {
			// The next change is a period away, give or take a fifth.
			pause = max(pause, c.updateNs*13/20)
		}
		least, most := c.burstNs()
		if lasted := now - c.burstBegin; changed && lasted >= least || lasted >= most {
			c.bursting, pause = false, int64(watermarkPeriod)
		}
	}
	next := max(now+pause, c.clock.mono()+int64(leastPause))
	if err != nil {
		c.lastTried = now + int64(watermarkPeriod-counterSparsePeriod) // not to wait 10 s for the next
		return nil, next, err
	}
	return []sdk.SampleBatch{batch}, next, nil
}

// batch is an empty one that says that nothing until ns is missing.
func (c *counter) batch(ns int64) sdk.SampleBatch {
	b := sdk.SampleBatch{DomainID: c.domain, Epoch: c.epoch, Sequence: c.sequence, CompleteUntilNs: ns}
	c.sequence++
	return b
}

// read takes one value. A value that cannot follow the last one is read again at
// once: if the second agrees with it the counter has restarted, if not it was a
// slip and is left out.
func (c *counter) read() (sdk.SampleBatch, error) {
	first, err := c.once()
	if err != nil {
		return sdk.SampleBatch{}, err
	}
	if !c.follows(c.last, first) {
		second, err := c.once()
		if err != nil {
			return sdk.SampleBatch{}, err
		}
		c.refuse(first)
		switch {
		case c.follows(c.last, second):
		case first.milliJ <= math.MaxInt64 && c.follows(first, second):
			c.epoch++
			c.events.add(Event{Code: EventCounterRestarted, UUID: c.gpu.UUID(), MonoNs: second.ns,
				Message: fmt.Sprintf("the energy counter went from %d to %d mJ: the driver was reloaded or reset; windows across this moment are invalid", c.last.milliJ, second.milliJ)})
		default:
			c.refuse(second)
			return c.batch(second.ns), nil
		}
		first = second
	}
	c.last = first
	b := c.batch(first.ns)
	b.MonoNs, b.Values = []int64{first.ns}, []int64{int64(first.milliJ)}
	return b, nil
}

// once reads between two clock reads and stamps the middle.
func (c *counter) once() (counterRead, error) {
	before := c.clock.mono()
	value, err := c.gpu.EnergyMilliJ()
	if err != nil {
		return counterRead{}, fmt.Errorf("read the energy counter: %w", err)
	}
	return counterRead{ns: before + (c.clock.mono()-before)/2, milliJ: value, known: true}, nil
}

// follows tells whether b can be the same counter later: not fallen, and risen by
// no more than the GPU can draw. The value may be old by an update period.
func (c *counter) follows(a, b counterRead) bool {
	if b.milliJ > math.MaxInt64 {
		return false
	}
	if !a.known {
		return true
	}
	if b.milliJ < a.milliJ {
		return false
	}
	most := float64(c.mostMilliW) * float64(b.ns-a.ns+2*c.updateNs) / 1e9
	return float64(b.milliJ-a.milliJ) <= most
}

func (c *counter) refuse(r counterRead) {
	c.events.add(Event{Code: EventSamplesRefused, UUID: c.gpu.UUID(), MonoNs: r.ns, Count: 1,
		Message: fmt.Sprintf("the energy counter gave %d mJ after %d mJ; the value was left out", r.milliJ, c.last.milliJ)})
}
