package main

import (
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/energy"
)

// sensor is a simulated sensor: it looks at a wave and gives the samples that a
// source would deliver.
type sensor struct {
	name   string
	domain energy.Domain
	// everyNs is the time between two looks, jitterNs the spread of one.
	everyNs, jitterNs int64
	// averageNs is the time that a look averages over; 0 = since the last look.
	averageNs int64
	// delayNs is how much later than the energy a sample is stamped, delaySpreadNs
	// its spread. The domain states them if the source knows.
	delayNs, delaySpreadNs int64
	// pollNs is how often software asks for a counter that changes by itself.
	pollNs int64
	// lose is the number of samples lost in a row once in every window.
	lose int
	// full: the sensor integrates all time.
	full bool
}

// fault is what is wrong with one sensor of a kind: it reads
// (truth + offsetW)/(1 + gain), so that the truth lies within ±gain of a reading.
type fault struct{ gain, offsetW float64 }

func (f fault) read(joules float64, ns int64) float64 {
	return (joules + f.offsetW*float64(ns)/1e9) / (1 + f.gain)
}

// batchLength is how many samples a simulated source delivers at once.
const batchLength = 50

// record lets the sensor watch the wave from one stamp to another. Without r it has
// no jitter and its first look is at the begin.
func (s sensor) record(w *wave, from, to int64, f fault, r *rand.Rand) (*energy.Trace, error) {
	b, err := energy.NewBuilder(s.domain)
	if err != nil {
		return nil, err
	}
	var stamps, values []int64
	if s.domain.Reading == energy.ReadingCounter {
		stamps, values = s.count(w, from, to, f, r)
	} else {
		stamps, values = s.look(w, from, to, f, r)
	}
	lost := uint64(0)
	if s.lose > 0 {
		at := len(stamps)/3 + r.IntN(len(stamps)/3)
		stamps = append(stamps[:at:at], stamps[at+s.lose:]...)
		values = append(values[:at:at], values[at+s.lose:]...)
		b.Append(energy.Batch{StampsNs: stamps[:at], Values: values[:at], CompleteUntilNs: stamps[at-1]})
		stamps, values, lost = stamps[at:], values[at:], uint64(s.lose)
	}
	for i, sequence := 0, uint64(1); i < len(stamps); i, sequence = i+batchLength, sequence+1 {
		end := min(i+batchLength, len(stamps))
		b.Append(energy.Batch{Sequence: sequence, Dropped: lost, StampsNs: stamps[i:end], Values: values[i:end], CompleteUntilNs: stamps[end-1]})
		lost = 0
	}
	return b.Snapshot(), nil
}

// look gives samples of power in milliwatts.
func (s sensor) look(w *wave, from, to int64, f fault, r *rand.Rand) (stamps, values []int64) {
	n := int((to-from)/s.everyNs) + 1
	stamps, values = make([]int64, 0, n), make([]int64, 0, n)
	at := from
	if r != nil {
		at += r.Int64N(s.everyNs)
	}
	begin, finish := &walk{w: w}, &walk{w: w}
	last := at - s.everyNs
	for k := int64(1); at < to; k++ {
		average := s.averageNs
		if average == 0 {
			average = at - last
		}
		joules := finish.energy(at) - begin.energy(at-average)
		mean := f.read(joules, average) / (float64(average) / 1e9)
		stamps = append(stamps, at+s.delayNs+spread(s.delaySpreadNs, r))
		values = append(values, int64(math.Round(1000*mean)))
		last = at
		at += s.everyNs + spread(s.jitterNs, r)
	}
	return stamps, values
}

// count gives the reads of a counter in millijoules, which changes every everyNs
// and is asked for every pollNs.
func (s sensor) count(w *wave, from, to int64, f fault, r *rand.Rand) (stamps, values []int64) {
	n := int((to-from)/s.pollNs) + 1
	stamps, values = make([]int64, 0, n), make([]int64, 0, n)
	const before = 1e9 // what the counter had counted
	energyAt := &walk{w: w}
	tick := from - s.everyNs - r.Int64N(s.everyNs)
	shown, next := tick, tick+s.everyNs
	nextShown := next + s.delayNs + spread(s.delaySpreadNs, r)
	for at := from + r.Int64N(s.pollNs); at < to; at += s.pollNs {
		for nextShown <= at {
			shown, next = next, next+s.everyNs+spread(s.jitterNs, r)
			nextShown = next + s.delayNs + spread(s.delaySpreadNs, r)
		}
		stamps = append(stamps, at)
		values = append(values, before+int64(1000*f.read(energyAt.energy(shown), shown-from)))
	}
	return stamps, values
}

// spread is a normal deviate of standard deviation sd, cut at three.
func spread(sd int64, r *rand.Rand) int64 {
	if sd == 0 || r == nil {
		return 0
	}
	return int64(float64(sd) * max(-3, min(3, r.NormFloat64())))
}

// sensors are those of real chips, as they were characterised: H100 by us, the
// others after Yang, Adámek and Armour (arXiv 2312.02741).
func sensors() []sensor {
	const ms = int64(1e6)
	base := energy.Domain{ID: "gpu", Kind: energy.KindGPU, DeviceIDs: []string{"gpu0"}, UnitNum: 1, UnitDen: 1000,
		Accuracy: energy.Accuracy{GainRel: 0.05, OffsetW: 5}}
	power := func(reading energy.Reading, update, average int64) energy.Domain {
		d := base
		d.Reading, d.UpdateNs, d.AveragingNs = reading, update, average
		return d
	}
	counter := func(update int64) energy.Domain { return power(energy.ReadingCounter, update, 0) }
	lagged := counter(100 * ms)
	lagged.LagNs, lagged.LagSpreadNs = 20*ms, 2*ms
	return []sensor{
		{name: "H100 ring, mean of 20 ms", domain: power(energy.ReadingIntervalMean, 20*ms, 0), everyNs: 20 * ms, jitterNs: 3 * ms, full: true},
		{name: "H100 ring that loses 5 samples in every window", domain: power(energy.ReadingIntervalMean, 20*ms, 0), everyNs: 20 * ms, jitterNs: 3 * ms, lose: 5, full: true},
		{name: "H100 counter, 100 ms ticks, 20 ms late", domain: lagged, everyNs: 100 * ms, jitterNs: 4 * ms, delayNs: 20 * ms, delaySpreadNs: 2 * ms, pollNs: 10 * ms, full: true},
		{name: "counter, 20 ms ticks", domain: counter(20 * ms), everyNs: 20 * ms, pollNs: 5 * ms, full: true},
		{name: "counter, 50 ms ticks", domain: counter(50 * ms), everyNs: 50 * ms, pollNs: 10 * ms, full: true},
		{name: "counter, 100 ms ticks", domain: counter(100 * ms), everyNs: 100 * ms, pollNs: 10 * ms, full: true},
		{name: "Ada instant, 100 of 100 ms", domain: power(energy.ReadingInstant, 100*ms, 100*ms), everyNs: 100 * ms, averageNs: 100 * ms, full: true},
		{name: "mean of the last 1 s every 100 ms", domain: power(energy.ReadingTrailingMean, 100*ms, 1000*ms), everyNs: 100 * ms, averageNs: 1000 * ms, full: true},
		{name: "V100 instant, 10 of 20 ms", domain: power(energy.ReadingInstant, 20*ms, 10*ms), everyNs: 20 * ms, averageNs: 10 * ms},
		{name: "A100 instant, 25 of 100 ms", domain: power(energy.ReadingInstant, 100*ms, 25*ms), everyNs: 100 * ms, averageNs: 25 * ms},
	}
}
