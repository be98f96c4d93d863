package nvml

import (
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// How often power fields are read: twice in the sensor's period where they are
// all there is (a reading between two would not be seen), and often enough to tile one-second averages for memory, which
// is a column beside the headline.
const (
	fieldUpdateNs    = int64(100e6)
	fieldPeriod      = 50 * time.Millisecond
	memoryPeriod     = 300 * time.Millisecond
	fieldAveragingNs = int64(1e9)
)

// power polls one power reading.
type power struct {
	gpu        gpu
	domain     string
	what       string
	milliW     func() (uint64, error)
	clock      clocks
	events     *eventLog
	mostMilliW uint64
	periodNs   int64

	sequence uint64
	dropped  uint64
}

// step reads once and stamps the middle of the call.
func (p *power) step() ([]sdk.SampleBatch, int64, error) {
	before := p.clock.mono()
	next := before + p.periodNs
	value, err := p.milliW()
	if err != nil {
		return nil, next, fmt.Errorf("read %s: %w", p.what, err)
	}
	after := p.clock.mono()
	stamp := before + (after-before)/2
	if value == 0 || value > p.mostMilliW {
		p.dropped++
		p.events.add(Event{Code: EventSamplesRefused, UUID: p.gpu.UUID(), MonoNs: stamp, Count: 1,
			Message: fmt.Sprintf("%s gave %d mW; the value was left out", p.what, value)})
		return nil, next, nil
	}
	batch := sdk.SampleBatch{
		DomainID: p.domain, Sequence: p.sequence, Dropped: p.dropped, CompleteUntilNs: stamp,
		MonoNs: []int64{stamp}, Values: []int64{int64(value)},
	}
	p.sequence++
	p.dropped = 0
	return []sdk.SampleBatch{batch}, next, nil
}
