package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
)

// rippleW is the swing that a stated half-width of 21.6 % holds: a fifth of meanW.
const (
	meanW   = 300.0
	rippleW = 60.0
)

// ripple is an engine whose power swings by so much about meanW once in every step,
// in step with the sensor.
func ripple(stepNs int64, swingW float64) engine {
	return engine{steps: int(second / stepNs), stepNs: stepNs, busyShare: 0.5, busyW: meanW + swingW, restW: meanW - swingW, tokens: 1000}
}

// dutySensors asks whether sensors that look at part of the time say so. A load in
// step with one is misread by the same amount for ever: only the coverage, a
// warning and the systematic half-width can tell, and that up to a ripple's depth.
func dutySensors(effort) (report, error) {
	var out report
	for _, s := range sensors() {
		if s.full {
			continue
		}
		s.jitterNs = 0
		var all []measured
		for _, divisor := range []float64{1, 2, 3, 4, 5, 10} {
			step := int64(float64(s.everyNs) / divisor)
			found, f, err := atAllPhases(s, ripple(step, rippleW), fmt.Sprintf("ripple of %.4g ms, %.0f W about %.0f W", float64(step)/1e6, rippleW, meanW))
			if err != nil {
				return report{}, err
			}
			all = append(all, found...)
			out.figures = append(out.figures, f.atLeast(95))
		}
		for _, swing := range []float64{66, 90} {
			_, f, err := atAllPhases(s, ripple(s.everyNs, swing), fmt.Sprintf("ripple of %.4g ms, %.0f W about %.0f W", float64(s.everyNs)/1e6, swing, meanW))
			if err != nil {
				return report{}, err
			}
			f.note += ": deeper than what is stated"
			out.figures = append(out.figures, f)
		}
		burst := engine{steps: int(second / s.everyNs), stepNs: s.everyNs, busyShare: 0.25, busyW: 700, restW: 100, tokens: 1000}
		_, f, err := atAllPhases(s, burst, "bursts of 700 W for a quarter of each period")
		if err != nil {
			return report{}, err
		}
		f.note += ": no such sensor can be used for such a load"
		out.figures = append(out.figures, f)
		coverage, warned := 0.0, 0
		for _, m := range all {
			coverage += m.window.CoverageRatio / float64(len(all))
			if slices.ContainsFunc(m.window.Warnings, func(w energy.Warning) bool { return w.Code == energy.CodeDutySampled }) {
				warned++
			}
		}
		duty, _ := s.domain.Duty(0)
		out.figures = append(out.figures,
			percent("T2", "coverage said, "+s.name, coverage).within(100*duty-0.01, 100*duty+0.01),
			percent("T2", "windows marked duty_sampled, "+s.name, float64(warned)/float64(len(all))).atLeast(100))
	}
	return out, nil
}

// atAllPhases measures an engine in step with the sensor, and asks how often the
// stated error, without gain and offset, of which this sensor has none, holds the
// truth.
func atAllPhases(s sensor, e engine, load string) ([]measured, figure, error) {
	const phases = 200
	var found []measured
	held, worst, stated := 0, 0.0, 0.0
	for phase := range int64(phases) {
		m, err := locked(s, e, phase*s.everyNs/phases)
		if err != nil {
			return nil, figure{}, err
		}
		off := m.window.EnergyJ/m.trueJ - 1
		worst = max(worst, math.Abs(off))
		stated = m.window.AliasRel
		if math.Abs(off) <= stated+1.96*m.window.RandomRel {
			held++
		}
		found = append(found, m)
	}
	f := percent("T2", fmt.Sprintf("truth held at all phases, %s, %s", load, s.name), float64(held)/phases)
	f.note = fmt.Sprintf("worst error %.1f %%, stated ±%.1f %%", 100*worst, 100*stated)
	return found, f, nil
}

// locked measures 10 s of an engine that keeps step with the sensor, which looks
// first at the given phase.
func locked(s sensor, e engine, phase int64) (measured, error) {
	w := newWave(10*second - phase)
	e.run(w, 13, nil)
	t, err := s.record(w, 10*second, w.end(), fault{}, nil)
	if err != nil {
		return measured{}, err
	}
	from, to := 11*second-phase, 21*second-phase
	m := measured{trueJ: w.between(from, to)}
	m.window, err = t.Window(from, to)
	return m, err
}
