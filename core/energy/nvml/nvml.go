// Package nvml is the built-in energy source for NVIDIA GPUs.
//
// For each GPU it reads the driver's ring of total power samples (about 50 Hz,
// 2.4 s deep) once a second, and beside it the hardware energy counter. The
// ring resolves short windows, the counter is the check on it; both sit behind
// one sensor, so their agreement proves the sampling and not the gain. Where
// the driver has no ring, the counter is read ten times a second instead.
//
// The library is loaded on Open and not before: a machine without a driver
// pays nothing and sees a clear error.
package nvml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// Name is how studies name this source.
const Name = "nvml"

// gpu is one device, as far as this source needs it.
type gpu interface {
	UUID() string
	Model() string
	// EnergyMilliJ reads the counter since driver load. The call takes 2 to
	// 40 ms and spins.
	EnergyMilliJ() (uint64, error)
	// PowerRing returns the driver's samples stamped after lastUs, in
	// microseconds of wall-clock time.
	PowerRing(lastUs uint64) ([]ringSample, error)
}

// ringSample is one entry of the driver's ring.
type ringSample struct {
	WallUs uint64
	MilliW uint64
}

// library loads NVML and lists the GPUs. shutdown is nil if there is nothing
// to undo.
type library func() (gpus []gpu, shutdown func(), err error)

// Periods of reading, and what the sensors are known to do (measured on H100
// and H200: ring 20 ms, counter 100 ms, 23 ms between a sample and its stamp's
// availability).
const (
	ringPeriod        = time.Second
	ringUpdateNs      = int64(20e6)
	counterPeriod     = time.Second
	counterOnlyPeriod = 100 * time.Millisecond
	counterUpdateNs   = int64(100e6)
)

// gainBound is the relative error of NVIDIA's board sensors: steady-state
// comparisons with an external meter lie within 5 % for data-centre parts.
var gainBound = 0.05

// Source reads NVIDIA GPUs. Make one with New.
type Source struct {
	load library

	mu       sync.Mutex
	readers  []*reader
	shutdown func()
}

// New returns a source that has touched nothing yet.
func New() *Source { return &Source{load: loadLibrary} }

// Open loads NVML and finds what each GPU can report.
func (s *Source) Open(_ context.Context, _ sdk.OpenRequest) ([]sdk.Domain, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers != nil {
		return nil, &sdk.Error{Code: sdk.CallOrder, Phase: "open nvml", Message: "it is open already"}
	}
	gpus, shutdown, err := s.load()
	if err != nil {
		return nil, err
	}
	s.shutdown = shutdown
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	var domains []sdk.Domain
	var refusals error
	for _, g := range gpus {
		r := &reader{gpu: g}
		_, ringErr := g.PowerRing(0)
		_, counterErr := g.EnergyMilliJ()
		r.ring, r.counter = ringErr == nil, counterErr == nil
		if !r.ring && !r.counter {
			refusals = errors.Join(refusals, fmt.Errorf("%s (%s): power ring: %w; energy counter: %w", g.UUID(), g.Model(), ringErr, counterErr))
			continue
		}
		s.readers = append(s.readers, r)
		domains = append(domains, r.domains(host)...)
	}
	if len(domains) == 0 {
		s.end()
		message := "NVML lists no GPU"
		if refusals != nil {
			message = refusals.Error()
		}
		return nil, &sdk.Error{Code: sdk.DeviceMissing, Phase: "open nvml", Message: message, Advice: "compare with `nvidia-smi`"}
	}
	return domains, nil
}

// Stream reads until ctx ends.
func (s *Source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	s.mu.Lock()
	readers := s.readers
	s.mu.Unlock()
	tick := time.NewTicker(counterOnlyPeriod)
	defer tick.Stop()
	for {
		for _, r := range readers {
			if err := r.read(emit); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close unloads NVML. The stream's ctx must have ended.
func (s *Source) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	return nil
}

func (s *Source) end() {
	if s.shutdown != nil {
		s.shutdown()
	}
	s.shutdown, s.readers = nil, nil
}

// reader keeps the state of one GPU's two readings.
type reader struct {
	gpu           gpu
	ring, counter bool

	lastUs            uint64
	lastRing, lastCtr int64
	ringSequence      uint64
	counterSequence   uint64
}

func (r *reader) ringID() string    { return r.gpu.UUID() }
func (r *reader) counterID() string { return r.gpu.UUID() + "/counter" }

func (r *reader) domains(host string) []sdk.Domain {
	base := sdk.Domain{
		Kind: sdk.DomainGPU, DeviceIDs: []string{r.gpu.UUID()}, Host: host,
		UnitNumerator: 1, UnitDenominator: 1000, Accuracy: sdk.Accuracy{GainRel: &gainBound},
	}
	var list []sdk.Domain
	if r.ring {
		d := base
		d.ID, d.Reading, d.Unit = r.ringID(), sdk.ReadingIntervalMean, sdk.UnitWatt
		d.UpdatePeriodNs, d.FirstSampleNs = ringUpdateNs, int64(ringPeriod)
		d.Doc = r.gpu.Model() + ": the driver's ring of total power samples"
		list = append(list, d)
	}
	if r.counter {
		d := base
		d.ID, d.Reading, d.Unit = r.counterID(), sdk.ReadingCounter, sdk.UnitJoule
		d.UpdatePeriodNs, d.FirstSampleNs = counterUpdateNs, int64(counterPeriod)
		if r.ring {
			// Read once a second, so its edges are that wide.
			d.UpdatePeriodNs = int64(counterPeriod)
		}
		d.Doc = r.gpu.Model() + ": the energy counter since driver load"
		list = append(list, d)
	}
	return list
}

// read takes what is due.
func (r *reader) read(emit func(sdk.SampleBatch) error) error {
	now := sdk.MonoNow()
	if r.ring && now-r.lastRing >= int64(ringPeriod) {
		r.lastRing = now
		if err := r.drain(emit); err != nil {
			return err
		}
	}
	period := counterOnlyPeriod
	if r.ring {
		period = counterPeriod
	}
	if r.counter && now-r.lastCtr >= int64(period)-int64(counterOnlyPeriod)/2 {
		r.lastCtr = now
		return r.count(emit)
	}
	return nil
}

// drain empties the ring. Its wall-clock stamps are mapped with a pair of
// clock reads taken at this drain, so that a stepped wall clock cannot shift
// more than one second of samples.
func (r *reader) drain(emit func(sdk.SampleBatch) error) error {
	samples, err := r.gpu.PowerRing(r.lastUs)
	if err != nil {
		return fmt.Errorf("drain the power ring of %s: %w", r.gpu.UUID(), err)
	}
	offset := wallToMono()
	samples = slices.DeleteFunc(slices.Clone(samples), func(s ringSample) bool { return s.WallUs <= r.lastUs })
	slices.SortFunc(samples, func(a, b ringSample) int {
		switch {
		case a.WallUs < b.WallUs:
			return -1
		case a.WallUs > b.WallUs:
			return 1
		}
		return 0
	})
	batch := sdk.SampleBatch{DomainID: r.ringID(), Sequence: r.ringSequence}
	r.ringSequence++
	for _, s := range samples {
		r.lastUs = s.WallUs
		stamp := int64(s.WallUs)*1000 + offset
		batch.MonoNs = append(batch.MonoNs, stamp)
		batch.Values = append(batch.Values, int64(s.MilliW))
		batch.CompleteUntilNs = stamp
	}
	if len(samples) == 0 {
		return nil
	}
	return emit(batch)
}

// count reads the energy counter between two clock reads and stamps the
// middle.
func (r *reader) count(emit func(sdk.SampleBatch) error) error {
	before := sdk.MonoNow()
	value, err := r.gpu.EnergyMilliJ()
	if err != nil {
		return fmt.Errorf("read the energy counter of %s: %w", r.gpu.UUID(), err)
	}
	stamp := before + (sdk.MonoNow()-before)/2
	batch := sdk.SampleBatch{
		DomainID: r.counterID(), Sequence: r.counterSequence, CompleteUntilNs: stamp,
		MonoNs: []int64{stamp}, Values: []int64{int64(value)},
	}
	r.counterSequence++
	return emit(batch)
}

// wallToMono is what to add to a wall-clock stamp in ns, from the narrowest of
// four bracketed pairs.
func wallToMono() int64 {
	best, narrowest := int64(0), int64(1<<62)
	for range 4 {
		before := sdk.MonoNow()
		wall := time.Now().UnixNano()
		after := sdk.MonoNow()
		if after-before < narrowest {
			narrowest = after - before
			best = before + narrowest/2 - wall
		}
	}
	return best
}
