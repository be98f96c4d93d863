package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// What the cards of compared cells may differ by before it stands beside the
// comparison: SM clock relative, temperature before Load in °C.
const (
	mostClockRel   = 0.02
	mostStartTempC = 5
)

// armState is what a cell's loads tell of the cards that they ran on; empty where
// no source sees them.
type armState struct {
	label      string
	clocksMHz  []float64 // mean of each load's windows
	limitsW    []float64
	startTempC []float64
}

func (c Cell) armState() armState {
	s := armState{label: c.Label}
	for _, t := range c.loads {
		for _, d := range t.Devices {
			var clocks []float64
			for _, r := range d.Readings.Rows() {
				inside := false
				for _, w := range t.Windows {
					inside = inside || r.MonoNs >= w.FromNs && r.MonoNs <= w.ToNs
				}
				if inside && r.SMClockMHz != nil {
					clocks = append(clocks, float64(*r.SMClockMHz))
				}
			}
			if len(clocks) > 0 {
				s.clocksMHz = append(s.clocksMHz, stats.Mean(clocks))
			}
			if d.Before == nil {
				continue
			}
			if l := d.Before.Reading.LimitMilliW; l != nil {
				s.limitsW = append(s.limitsW, float64(*l)/1000)
			}
			if c := d.Before.Reading.TemperatureC; c != nil {
				s.startTempC = append(s.startTempC, float64(*c))
			}
		}
	}
	return s
}

// unlikeArms warns where the cards of compared cells were not in one state, so
// that a difference of the joules may be theirs and not the cells'. A clock that
// differs is often the very effect of what was varied: it is a fact to be told.
func unlikeArms(cells []Cell, compared []int) []Warning {
	var states []armState
	var temps []float64
	for _, i := range compared {
		s := cells[i].armState()
		states, temps = append(states, s), append(temps, s.startTempC...)
	}
	var out []Warning
	warn := func(code, format string, args ...any) {
		out = append(out, Warning{Code: code, Severity: energy.SeverityWarning, Message: fmt.Sprintf(format, args...)})
	}
	slow, fast := extremes(states, func(s armState) []float64 { return s.clocksMHz })
	if slow.label != "" && fast.value/slow.value-1 > mostClockRel {
		warn("clocks_differ", "the SM clock was %.0f MHz in %s and %.0f MHz in %s: part of the difference is the clock's (lock it, or take it as part of the result)", slow.value, slow.label, fast.value, fast.label)
	}
	low, high := extremes(states, func(s armState) []float64 { return s.limitsW })
	if low.label != "" && math.Abs(high.value-low.value) > 0.5 {
		warn("power_limits_differ", "the power limit was %.0f W for %s and %.0f W for %s: measure them under one limit, or sweep it", low.value, low.label, high.value, high.label)
	}
	if len(temps) > 1 {
		if spread := slices.Max(temps) - slices.Min(temps); spread > mostStartTempC {
			warn("start_temperature_spread", "loads began at %.0f to %.0f °C (limit %d °C apart): a longer conditioning makes them alike", slices.Min(temps), slices.Max(temps), mostStartTempC)
		}
	}
	return out
}

// armValue is the mean of an arm.
type armValue struct {
	label string
	value float64
}

// extremes are the arms with the least and the greatest mean of those that know
// the value; empty where fewer than two do.
func extremes(states []armState, of func(armState) []float64) (least, most armValue) {
	known := 0
	for _, s := range states {
		values := of(s)
		if len(values) == 0 {
			continue
		}
		v := armValue{s.label, stats.Mean(values)}
		if known == 0 || v.value < least.value {
			least = v
		}
		if known == 0 || v.value > most.value {
			most = v
		}
		known++
	}
	if known < 2 {
		return armValue{}, armValue{}
	}
	return least, most
}
