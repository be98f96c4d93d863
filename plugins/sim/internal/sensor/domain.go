package sensor

import (
	"fmt"
	"math"
	"os"

	"github.com/llenergymeasure/llem/plugins/sim/internal/noise"
	"github.com/llenergymeasure/llem/sdk"
)

// memoryShare of the power is drawn by a memory domain.
const memoryShare = 0.25

// domain is one sensor.
type domain struct {
	sdk.Domain
	share         float64 // of the power, that it covers
	gain, offsetW float64
	noiseRel      float64
	seed          int64

	countedJ float64 // counter: since the stream began
}

// newDomains makes the domains of a complete table.
func newDomains(t sdk.Table) []*domain {
	host, err := os.Hostname()
	if err != nil {
		host = "" // unknown
	}
	var all []*domain
	numbers := map[sdk.DomainKind]int{}
	first := map[sdk.DomainKind]string{}
	for _, element := range t.List("domains") {
		kind := sdk.DomainKind(element.(string))
		d := newDomain(t, kind, numbers[kind])
		numbers[kind]++
		if first[kind] == "" {
			first[kind] = d.ID
		}
		d.Host = host
		d.seed += int64(len(all)) << 32
		all = append(all, d)
	}
	for _, d := range all {
		outer, inner := within[d.Kind]
		if inner {
			d.ContainedIn, d.share = first[outer], memoryShare
		}
	}
	return all
}

// within says in which kind's domain a kind's energy is contained.
var within = map[sdk.DomainKind]sdk.DomainKind{
	sdk.DomainDRAM: sdk.DomainCPUPackage, sdk.DomainGPUMemory: sdk.DomainGPU,
}

func newDomain(t sdk.Table, kind sdk.DomainKind, number int) *domain {
	gain, offset, confidence := t.Float("accuracy_rel", 0), t.Float("accuracy_w", 0), 1.0
	d := &domain{
		share: 1, gain: t.Float("gain", 1), offsetW: t.Float("offset_w", 0),
		noiseRel: t.Float("noise", 0), seed: t.Int("seed", 0),
		Domain: sdk.Domain{
			ID: fmt.Sprintf("%s-%d", kind, number), Kind: kind, DeviceIDs: []string{deviceOf(kind, number)},
			Reading: sdk.Reading(t.String("reading", "")), Unit: sdk.UnitWatt,
			UnitNumerator: 1, UnitDenominator: t.Int("counts_per_unit", 1),
			LagNs: int64(t.Float("lag_ms", 0) * 1e6), UpdatePeriodNs: int64(t.Float("period_ms", 0) * 1e6),
			Estimated: t.Bool("estimated", false),
			Accuracy:  sdk.Accuracy{GainRel: &gain, OffsetW: &offset, Confidence: &confidence},
			Doc:       "simulated",
		},
	}
	switch d.Reading {
	case sdk.ReadingCounter:
		d.Unit = sdk.UnitJoule
	case sdk.ReadingTrailingMean:
		d.AveragingNs = int64(t.Float("averaging_ms", 0) * 1e6)
	}
	return d
}

// deviceOf is the id of the device that a domain covers; those of GPUs are the
// ones that the sim engine says it holds.
func deviceOf(kind sdk.DomainKind, number int) string {
	switch kind {
	case sdk.DomainGPU, sdk.DomainGPUMemory:
		return fmt.Sprintf("sim-gpu-%d", number)
	case sdk.DomainCPUPackage, sdk.DomainDRAM:
		return fmt.Sprintf("package-%d", number)
	}
	return fmt.Sprintf("sim-%s-%d", kind, number)
}

// reachNs is how far before its stamp a sample looks.
func (d *domain) reachNs() int64 { return d.LagNs + max(d.AveragingNs, d.UpdatePeriodNs) }

// read returns the sample stamped at a tick, in counts.
func (d *domain) read(world truth, tickNs int64) int64 {
	at := tickNs - d.LagNs
	factor := d.gain * d.share
	random := noise.Factor(d.seed, tickNs/d.UpdatePeriodNs, d.noiseRel)
	mean := func(lengthNs int64) float64 {
		return world.energyJ(at-lengthNs, at) / float64(lengthNs) * 1e9
	}
	var watts float64
	switch d.Reading {
	case sdk.ReadingCounter:
		seconds := float64(d.UpdatePeriodNs) / 1e9
		d.countedJ += max(0, (mean(d.UpdatePeriodNs)*factor+d.offsetW)*random) * seconds
		return int64(math.Floor(d.countedJ * float64(d.UnitDenominator)))
	case sdk.ReadingInstant:
		watts = (world.at(at)*factor + d.offsetW) * random
	case sdk.ReadingTrailingMean:
		watts = (mean(d.AveragingNs)*factor + d.offsetW) * random
	default:
		watts = (mean(d.UpdatePeriodNs)*factor + d.offsetW) * random
	}
	return int64(math.Round(watts * float64(d.UnitDenominator)))
}
