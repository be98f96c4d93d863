package sensor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/plugins/sim/internal/defaults"
	"github.com/llenergymeasure/llem/plugins/sim/internal/fault"
	"github.com/llenergymeasure/llem/sdk"
)

// Source is the simulated energy source. Its zero value is ready for Open.
type Source struct {
	world   truth
	domains []*domain
	fault   *fault.Fault
}

// Open implements sdk.EnergySource.
func (s *Source) Open(_ context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	t := defaults.Fill(parameters(), req.Parameters)
	if err := check(t); err != nil {
		return nil, err
	}
	var err error
	if s.world, err = newTruth(t); err != nil {
		return nil, err
	}
	s.domains = newDomains(t)
	s.fault = fault.New(t)
	open := make([]sdk.Domain, len(s.domains))
	for i, d := range s.domains {
		open[i] = d.Domain
		open[i].FirstSampleNs = 2*d.UpdatePeriodNs + s.world.behindNs()
	}
	return open, nil
}

// OpenWarnings implements sdk.OpenWarner.
func (*Source) OpenWarnings() []sdk.Warning {
	return []sdk.Warning{{Code: sdk.CodeSimulatedSource, Message: "the joules are of a simulated machine, not of this one"}}
}

var kinds = []string{
	string(sdk.DomainGPU), string(sdk.DomainGPUMemory), string(sdk.DomainModule), string(sdk.DomainCPUPackage),
	string(sdk.DomainDRAM), string(sdk.DomainNode), string(sdk.DomainRack),
}

// check refuses what the schema cannot.
func check(t sdk.Table) error {
	refuse := func(key, message, advice string) error {
		return &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: key, Phase: "open", Message: message, Advice: advice}
	}
	if len(t.List("domains")) == 0 {
		return refuse("domains", "the list is empty", "name at least one kind: "+strings.Join(kinds, ", "))
	}
	for _, element := range t.List("domains") {
		if kind := element.(string); !slices.Contains(kinds, kind) {
			return refuse("domains", "unknown kind "+kind, "known kinds: "+strings.Join(kinds, ", "))
		}
	}
	if t.String("wave", "") == "sine" && t.Float("wave_w", 0) > t.Float("power_w", 0) {
		return refuse("wave_w", "the sine would go below 0 W", "make wave_w at most power_w")
	}
	return nil
}

// leastBatchNs is how often samples are sent at most.
const leastBatchNs = int64(10e6)

// Stream implements sdk.EnergySource. Samples lie on whole multiples of the
// period, each is taken once, and none is late: a sleep that was too long only
// delays its delivery.
func (s *Source) Stream(ctx context.Context, emit func(sdk.SampleBatch) error) error {
	period := s.domains[0].UpdatePeriodNs
	beganNs := sdk.MonoNow()
	tick := (beganNs/period + 1) * period
	spoiler := newSpoiler(s.fault, beganNs, len(s.domains))
	for sequence := uint64(0); ; {
		next := max(tick, sdk.MonoNow()-s.world.behindNs()+leastBatchNs)
		if !sleepUntil(ctx, next+s.world.behindNs()) {
			return nil
		}
		settledNs, err := s.world.settledNs()
		if err != nil {
			return err
		}
		if tick > settledNs {
			continue
		}
		s.world.forget(tick - s.longestReachNs())
		ticks := (settledNs-tick)/period + 1
		for i, d := range s.domains {
			batch := sdk.SampleBatch{DomainID: d.ID, Sequence: sequence, CompleteUntilNs: settledNs}
			for k := range ticks {
				at := tick + k*period
				batch.MonoNs = append(batch.MonoNs, at)
				batch.Values = append(batch.Values, d.read(s.world, at))
			}
			if err := spoiler.emit(ctx, i, batch, emit); err != nil {
				return err
			}
		}
		sequence++
		tick += ticks * period
	}
}

func (s *Source) longestReachNs() int64 {
	longest := int64(0)
	for _, d := range s.domains {
		longest = max(longest, d.reachNs())
	}
	return longest
}

func sleepUntil(ctx context.Context, ns int64) bool {
	timer := time.NewTimer(time.Duration(ns - sdk.MonoNow()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Close implements sdk.EnergySource.
func (s *Source) Close(context.Context) error { return s.world.close() }
