package phase

import (
	"math"

	"github.com/llenergymeasure/llem/core/energy"
)

// stepped bounds the joules that one device's sensor moves across the three edges
// of a pass.
type stepped struct {
	beginJ, middleJ, endJ float64
}

// edges bounds what the readings around a pass's edges give to the wrong phase.
// Where power steps from P to Q within the time T of one reading, a share u of it
// before the step, the part before the edge gets u of the reading's energy and not
// what it drew: off by u(1-u)|P-Q|T, at most a quarter of |P-Q|T and a sixth on
// average, and always towards the lower power. So neither passes nor loads average it
// away. A line between two momentary readings is off by at most a half.
//
// Across the outer edges lies the other phase of the neighbouring pass, or, where that
// is further away than T, a pause of unknown power: the step may be all of the power.
func edges(passes []Span, k int, t *energy.Trace, before, after energy.Window) stepped {
	p := passes[k]
	reading, share := t.PeriodNs(), 0.25
	switch t.Domain.Reading {
	case energy.ReadingInstant:
		share = 0.5
	case energy.ReadingTrailingMean:
		reading = max(reading, t.Domain.AveragingNs)
	}
	prefillW := before.EnergyJ / (float64(p.PrefillEndNs-p.BeginNs) / 1e9)
	decodeW := after.EnergyJ / (float64(p.EndNs-p.PrefillEndNs) / 1e9)
	joules := func(stepW float64) float64 { return share * math.Abs(stepW) * float64(reading) / 1e9 }
	e := stepped{middleJ: joules(prefillW - decodeW)}
	e.beginJ, e.endJ = e.middleJ, e.middleJ
	if k > 0 && p.BeginNs-passes[k-1].EndNs > reading {
		e.beginJ = joules(prefillW)
	}
	if k+1 < len(passes) && passes[k+1].BeginNs-p.EndNs > reading {
		e.endJ = joules(decodeW)
	}
	return e
}

// withSteps adds the bound of the worst window to the sensor's.
func withSteps(sensor *float64, loads [][]AlignedWork, of func(AlignedWork) float64) *float64 {
	most := 0.0
	for _, load := range loads {
		for _, w := range load {
			most = max(most, of(w))
		}
	}
	if most == 0 {
		return sensor
	}
	if sensor != nil {
		most += *sensor
	}
	return &most
}
