package nvml

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/sdk"
)

// gainBound is the relative error of NVIDIA's board sensors: steady-state
// comparisons with an external meter lie within 5 % for data-centre parts.
var gainBound = 0.05

// absurdTimes is how many times its highest limit a GPU cannot draw, and
// unknownLimitMilliW stands for a limit that the driver does not tell: more than
// any module has.
const (
	absurdTimes        = 10
	unknownLimitMilliW = 3_000_000
)

// mostTimes is how many times its highest limit a GPU cannot draw over one period
// of a sensor: it holds its limit over seconds, and swings above it by far less.
const mostTimes = 3

// errStuckCounter is what a characterisation of two seconds shows on some virtual
// GPUs.
var errStuckCounter = errors.New("it does not move")

// reader is one GPU and the sensors of it that are read.
type reader struct {
	gpu     gpu
	sensors []sensor
	counter *counter // among the sensors; nil without one
	domains []sdk.Domain
}

// sensor is something that is read again and again. step returns what it found
// and when it wants to be called next, CLOCK_MONOTONIC ns.
type sensor interface {
	step() ([]sdk.SampleBatch, int64, error)
}

// probe finds how to read a GPU's energy: the ring with the counter beside it,
// else the counter, else the one-second average, else plain samples of power. The
// instant field of GA100 and GH100 looks at a quarter of the time, so it is never
// read where any of the others is there.
func probe(ctx context.Context, g gpu, host string, known []device.Sensor, clock clocks, events *eventLog) (*reader, error) {
	r := &reader{gpu: g}
	facts := g.Facts()
	limit := uint64(unknownLimitMilliW)
	if facts.MostLimitMilliW != nil && *facts.MostLimitMilliW > 0 {
		limit = uint64(*facts.MostLimitMilliW)
	}
	most := absurdTimes * limit
	base := sdk.Domain{
		DeviceIDs: []string{g.UUID()}, Host: host,
		UnitNumerator: 1, UnitDenominator: 1000, Accuracy: sdk.Accuracy{GainRel: &gainBound},
	}
	base.Kind = sdk.DomainGPU
	if facts.MostLimitMilliW != nil {
		base.MostPowerW = mostTimes * max(0, float64(*facts.MostLimitMilliW)/1000)
	}
	watts, joules := base, base
	watts.Unit, joules.Unit = sdk.UnitWatt, sdk.UnitJoule

	entries, ringErr := wholeRing(ctx, g)
	if ringErr == nil {
		d := watts
		d.ID, d.Reading = g.UUID(), sdk.ReadingIntervalMean
		d.UpdatePeriodNs, d.FirstSampleNs = learned(known, sensorRing, ringUpdateNs), int64(ringPeriod)
		d.Doc = facts.Model + ": the driver's ring of total power samples"
		if facts.Architecture != "hopper" {
			d.Doc += "; that it misses no time was measured on Hopper, and is supposed of this card: the ratio to the energy counter tells"
		}
		r.domains = append(r.domains, d)
		depth := max(ringDepth, len(entries))
		for _, s := range known {
			if s.Name == sensorRing && s.Depth > 0 {
				depth = s.Depth
			}
		}
		r.sensors = append(r.sensors, &ring{gpu: g, domain: d.ID, clock: clock, events: events, mostMilliW: most, periodNs: d.UpdatePeriodNs, depth: depth})
	}
	_, counterErr := g.EnergyMilliJ()
	for _, s := range known {
		if s.Name == sensorCounter && s.Error == "" && s.Calls > 0 && s.Changes == 0 {
			counterErr = errStuckCounter
		}
	}
	if counterErr == nil {
		d := joules
		if d.Kind = counterKind(g); d.Kind == sdk.DomainModule {
			d.MostPowerW = 0 // the limit is the GPU's alone
		}
		d.ID, d.Reading = g.UUID()+"/counter", sdk.ReadingCounter
		// Also where it is read in bursts: between them the watermark goes on and
		// an edge in a wide hole is told by the window.
		d.UpdatePeriodNs, d.FirstSampleNs = learned(known, sensorCounter, counterUpdateNs), int64(ringPeriod)
		d.Doc = facts.Model + ": the energy counter since driver load"
		if ringErr != nil {
			d.Doc += fmt.Sprintf("; the ring of power samples cannot be read: %v", ringErr)
		}
		r.domains = append(r.domains, d)
		r.counter = &counter{gpu: g, domain: d.ID, clock: clock, events: events, mostMilliW: most, updateNs: d.UpdatePeriodNs, dense: ringErr != nil, wakeup: make(chan struct{}, 1)}
		r.sensors = append(r.sensors, r.counter)
	}
	poll := func(d sdk.Domain, what string, period int64, read func() (uint64, error)) {
		r.domains = append(r.domains, d)
		r.sensors = append(r.sensors, &power{gpu: g, domain: d.ID, what: what, milliW: read, clock: clock, events: events, mostMilliW: most, periodNs: period})
	}
	if len(r.domains) == 0 {
		d, what, read, err := lastResort(g, facts, known, watts)
		if err != nil {
			return nil, fmt.Errorf("%s (%s): power ring: %w; energy counter: %w; %w", g.UUID(), facts.Model, ringErr, counterErr, err)
		}
		poll(d, what, min(int64(fieldPeriod), d.UpdatePeriodNs/2), read)
	}
	if _, err := readField(g, fieldPowerAverage, scopeMemory); err == nil {
		d := watts
		d.ID, d.Kind, d.Reading = g.UUID()+"/memory", sdk.DomainGPUMemory, sdk.ReadingTrailingMean
		d.AveragingNs, d.UpdatePeriodNs, d.FirstSampleNs = fieldAveragingNs, int64(memoryPeriod), int64(memoryPeriod)
		d.ContainedIn = r.domains[0].ID
		d.Doc = facts.Model + ": one-second average of the memory's power (field 185, scope 2)"
		poll(d, "the memory's power", int64(memoryPeriod), func() (uint64, error) { return readField(g, fieldPowerAverage, scopeMemory) })
	}
	return r, nil
}

// counterKind tells what the counter covers. On Grace modules it counts CPU, GPU
// and memory together; there the energy field is refused at the GPU's scope.
func counterKind(g gpu) sdk.DomainKind {
	answer := g.Fields(field{fieldEnergy, scopeGPU}, field{fieldEnergy, scopeModule})
	if len(answer) == 2 && answer[0].Err != nil && answer[1].Err == nil {
		return sdk.DomainModule
	}
	return sdk.DomainGPU
}

// lastResort is a polled power reading for a GPU with neither ring nor counter.
func lastResort(g gpu, facts device.Facts, known []device.Sensor, d sdk.Domain) (sdk.Domain, string, func() (uint64, error), error) {
	d.FirstSampleNs = int64(fieldPeriod)
	var refused []error
	fieldOf := func(id uint32, name string) (string, func() (uint64, error)) {
		for _, scope := range []uint32{scopeGPU, scopeModule} {
			_, err := readField(g, id, scope)
			if err == nil {
				if scope == scopeModule {
					d.Kind, d.MostPowerW = sdk.DomainModule, 0
				}
				return fmt.Sprintf("%s (field %d, scope %d)", name, id, scope), func() (uint64, error) { return readField(g, id, scope) }
			}
			refused = append(refused, fmt.Errorf("field %d, scope %d: %w", id, scope, err))
		}
		return "", nil
	}
	if what, read := fieldOf(fieldPowerAverage, "one-second average of power"); read != nil {
		d.ID, d.Reading, d.AveragingNs = g.UUID()+"/average", sdk.ReadingTrailingMean, fieldAveragingNs
		d.UpdatePeriodNs = learned(known, sensorAverage, fieldUpdateNs)
		d.Doc = facts.Model + ": " + what
		return d, what, read, nil
	}
	what, read := fieldOf(fieldPowerInstant, "instant power")
	if read == nil {
		if _, err := g.PlainMilliW(); err != nil {
			all := fmt.Errorf("plain power: %w", err)
			for _, r := range slices.Backward(refused) { // one line, and not a line each
				all = fmt.Errorf("%w; %w", r, all)
			}
			return d, "", nil, all
		}
		what, read = "plain power", g.PlainMilliW
		d.Kind = sdk.DomainGPU
	}
	d.ID, d.Reading = g.UUID()+"/instant", sdk.ReadingInstant
	d.AveragingNs, d.UpdatePeriodNs = aperture(facts)
	if what == "plain power" && plainIsAverage(facts) {
		d.ID, d.Reading, d.AveragingNs = g.UUID()+"/average", sdk.ReadingTrailingMean, fieldAveragingNs
	}
	d.Doc = facts.Model + ": " + what
	return d, what, read, nil
}

// aperture is what the instant reading looks at, and how often (measured on more
// than 70 GPUs, arXiv 2312.02741). 0 = not known.
func aperture(f device.Facts) (averagingNs, updateNs int64) {
	switch {
	case isGA100(f) || f.Architecture == "hopper":
		return 25e6, 100e6
	case f.Architecture == "volta" || f.Architecture == "pascal":
		return 10e6, 20e6
	case slices.Contains([]string{"turing", "ampere", "ada"}, f.Architecture):
		return 100e6, 100e6
	}
	return 0, fieldUpdateNs
}

// plainIsAverage follows nvml.h: a one-second average on Ampere except GA100, and
// newer.
func plainIsAverage(f device.Facts) bool {
	return slices.Contains([]string{"ampere", "ada", "hopper", "blackwell", "rubin"}, f.Architecture) && !isGA100(f)
}

func isGA100(f device.Facts) bool {
	return f.Architecture == "ampere" && slices.ContainsFunc([]string{"A100", "A800", "A30"}, func(chip string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(f.Model, func(r rune) bool { return r == ' ' || r == '-' }), func(word string) bool { return word == chip })
	})
}

// learned is a sensor's update period as it was characterised, if that is
// believable, else the usual one.
func learned(known []device.Sensor, name string, usualNs int64) int64 {
	for _, s := range known {
		if s.Name == name && s.UpdateNs >= 5e6 && s.UpdateNs <= 2e9 {
			return s.UpdateNs
		}
	}
	return usualNs
}

// Names of sensors in device.Sensor.
const (
	sensorRing    = "ring"
	sensorCounter = "counter"
	sensorAverage = "average"
	sensorInstant = "instant"
)
