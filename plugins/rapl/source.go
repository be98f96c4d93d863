package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/serve"
)

// source reads the counters of all zones at one period.
type source struct {
	period time.Duration
	zones  []*reader
}

// reader is a zone with where its stream stands.
type reader struct {
	*zone
	sequence uint64
	dropped  uint64 // readings that failed since the batch before
}

// Describe implements sdk.EnergySource.
func (s *source) Describe() sdk.Description {
	return sdk.Description{
		Name: "rapl", Version: "0.1.0",
		Doc: "Energy counters of CPU packages, their memory and the platform (RAPL through Linux powercap).",
		Parameters: []sdk.Parameter{
			sdk.Int("period_ms").Unit("ms").Or(defaultPeriodMs).Between(10, 1000).For(sdk.RoleExecution).
				Doc("Time between two readings of each counter."),
			sdk.Path("sysfs").Or("/sys").
				Doc("Where sysfs lies: in a container, where the host's was mounted."),
		},
	}
}

const (
	defaultPeriodMs = 100
	// The register is updated about every millisecond: what is read describes
	// a moment up to that long ago, each as likely as another.
	updateNs = int64(time.Millisecond)
	lagNs    = updateNs / 2
	// Standard deviation of a uniform millisecond.
	lagSpreadNs = updateNs * 289 / 1000
)

// Open implements sdk.EnergySource.
func (s *source) Open(_ context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	sysfs := req.Parameters.String("sysfs", "/sys")
	s.period, s.zones = time.Duration(req.Parameters.Int("period_ms", defaultPeriodMs))*time.Millisecond, nil
	zones, err := findZones(sysfs)
	if err != nil || len(zones) == 0 {
		return nil, absent(sysfs, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, &sdk.Error{Code: sdk.Internal, Message: fmt.Sprintf("ask for the host's name: %v", err)}
	}
	var domains []sdk.Domain
	for _, z := range zones {
		raw, err := z.read()
		if err != nil {
			return nil, z.unreadable(err)
		}
		if raw == 0 && z.kind == sdk.DomainNode {
			// Many boards wire no platform sensor and show a zone all the same.
			serve.Logger().Warn("the platform counter stands at 0 and is left out", "zone", z.dir)
			release(zones, z.id)
			continue
		}
		s.zones = append(s.zones, &reader{zone: z})
	}
	for _, z := range s.zones {
		domains = append(domains, s.domain(z.zone, host))
	}
	if len(domains) == 0 {
		return nil, absent(sysfs, nil)
	}
	return domains, nil
}

// release takes the zones out of one that is not delivered.
func release(zones []*zone, outer string) {
	for _, z := range zones {
		if z.inside == outer {
			z.inside = ""
		}
	}
}

// accuracyDoc stands in each domain's doc. No vendor states bounds, so the
// contract's accuracy stays unknown.
const accuracyDoc = "The vendors state no accuracy; AMD's counter and Intel's before Haswell are models inside the processor."

func (s *source) domain(z *zone, host string) sdk.Domain {
	d := sdk.Domain{
		ID: z.id, Kind: z.kind, DeviceIDs: []string{z.id}, ContainedIn: z.inside,
		Reading: sdk.ReadingCounter, Unit: sdk.UnitJoule, UnitNumerator: 1, UnitDenominator: 1_000_000,
		// What a recording can resolve is the reading's period, not the register's.
		UpdatePeriodNs: int64(s.period), LagNs: lagNs, LagSpreadNs: lagSpreadNs, Host: host,
	}
	switch z.kind {
	case sdk.DomainDRAM:
		d.Doc = "Memory behind one CPU package. " + accuracyDoc
	case sdk.DomainNode:
		d.Doc = "What the board's maker wired to the platform counter: at least the processors, at most the whole machine. " + accuracyDoc
		if z.id == "psys" {
			d.DeviceIDs = []string{"host"}
		}
	default:
		d.Doc = "One CPU package with its cores, caches and graphics. " + accuracyDoc
	}
	return d
}

// mostFailures in a row end the stream.
const mostFailures = 20

// Stream implements sdk.EnergySource.
func (s *source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	// A Ticker keeps to its first grid: a late tick does not move those after
	// it, and missed ones are left out.
	ticker := time.NewTicker(s.period)
	defer ticker.Stop()
	for {
		for _, z := range s.zones {
			if err := z.poll(emit); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// poll reads one counter and emits it. A reading that fails is no 0 joules: it
// is left out, counted, and the watermark stands still.
func (z *reader) poll(emit func(sdk.SampleBatch) error) error {
	raw, at, err := z.stamped()
	if err != nil {
		z.dropped++
		if codeOf(err) != sdk.Internal || z.dropped >= mostFailures {
			return z.unreadable(err)
		}
		return nil
	}
	z.counter.add(raw, at)
	batch := sdk.SampleBatch{
		DomainID: z.id, Epoch: z.counter.epoch, Sequence: z.sequence, Dropped: z.dropped,
		CompleteUntilNs: at, MonoNs: []int64{at}, Values: []int64{z.counter.value},
	}
	z.sequence, z.dropped = z.sequence+1, 0
	return emit(batch)
}

const (
	// sharpNs is the bracket around a reading that is good enough; a wider one
	// means that the reader was descheduled, and it is read again.
	sharpNs  = int64(500 * time.Microsecond)
	attempts = 3
)

// stamped reads the counter and stamps it with the middle of the call.
func (z *reader) stamped() (raw uint64, atNs int64, err error) {
	for range attempts {
		before := sdk.MonoNow()
		raw, err = z.read()
		after := sdk.MonoNow()
		atNs = before + (after-before)/2
		if err != nil || after-before <= sharpNs {
			break
		}
	}
	return raw, atNs, err
}

// Close implements sdk.EnergySource. Nothing is held between readings.
func (s *source) Close(context.Context) error { return nil }
