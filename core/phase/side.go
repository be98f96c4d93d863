package phase

import (
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// side gathers the windows on one side of the first tokens, of every pass and
// device, with what they say of themselves.
type side struct {
	name    string
	windows int
	energyJ float64
	edgesJ  float64 // one standard deviation, of all edges together
	stepsJ  float64 // bound, all edges the same way
	doubts  []doubt
}

// doubt is a warning of one domain with the number of windows that gave it.
type doubt struct {
	energy.Warning
	windows int
}

func (s *side) add(w energy.Window) {
	s.windows++
	s.energyJ += w.EnergyJ
	s.edgesJ = math.Hypot(s.edgesJ, w.RandomRel*w.EnergyJ)
	for _, x := range w.Warnings {
		switch x.Code {
		case energy.CodeEstimated, energy.CodeReplayed, energy.CodeSimulated:
			continue // of the source, which the whole window says
		}
		i := slices.IndexFunc(s.doubts, func(d doubt) bool { return d.Code == x.Code && d.Domain == x.Domain })
		if i < 0 {
			s.doubts = append(s.doubts, doubt{Warning: x, windows: 1})
			continue
		}
		d := &s.doubts[i]
		if d.windows++; graver(x.Severity, d.Severity) {
			d.Warning = x
		}
	}
}

func graver(a, b energy.Severity) bool { return a != b && b == energy.SeverityInfo }

// edgeRel is the modelled random error of the joules, one standard deviation.
func (s *side) edgeRel() float64 { return s.edgesJ / s.energyJ }

// warnings has one entry for each code and domain, the first of the gravest.
func (s *side) warnings() []energy.Warning {
	var out []energy.Warning
	for _, d := range s.doubts {
		d.Message = fmt.Sprintf("%s, %d of %d windows of its own: %s", s.name, d.windows, s.windows, d.Message)
		out = append(out, d.Warning)
	}
	return out
}

// worstEdge is the modelled error of a load's value, which is the mean of its
// windows: that of the worst window; nil if no record has it.
func worstEdge(loads [][]AlignedWork, of func(AlignedWork) float64) *float64 {
	edge, windows := 0.0, math.MaxInt
	for _, load := range loads {
		windows = min(windows, len(load))
		for _, w := range load {
			edge = max(edge, of(w))
		}
	}
	if edge == 0 {
		return nil
	}
	edge /= math.Sqrt(float64(windows))
	return &edge
}

// carry gives an estimate the warnings of the windows that it was made of, notes
// left out, each code once.
func carry(e *stats.Estimate, loads [][]AlignedWork, of func(AlignedWork) []energy.Warning) {
	for _, load := range loads {
		for _, w := range load {
			for _, x := range of(w) {
				if x.Severity != energy.SeverityInfo && !e.Has(x.Code) {
					e.Warnings = append(e.Warnings, stats.Warning{Code: x.Code, Message: x.Message})
				}
			}
		}
	}
}
