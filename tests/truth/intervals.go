package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// design is one kind of study.
type design struct {
	sensor sensor
	gpus   int
	loads  int
	// windows per load, passes per window.
	windows, passes int
	// between and within are relative standard deviations of the engine's energy:
	// of fresh starts, and of the windows of one start.
	between, within float64
	// corners: gain and offset lie on their bounds instead of somewhere within.
	corners bool
}

// outcome of one study.
type outcome struct {
	sensorTruth, physicalTruth bool // held by the interval
	pooled                     bool // by one that takes every window as a sample
	components                 stats.Components
}

var perToken = stats.Spec{Metric: "J/token", Unit: "J/token"}

// study measures loads, as fresh starts of an engine with a known energy per
// token, and asks whether the intervals hold it.
func (d design) study(r *rand.Rand) (outcome, error) {
	faults := make([]fault, d.gpus)
	for g := range faults {
		accuracy := d.sensor.domain.Accuracy
		x, y := 2*r.Float64()-1, 2*r.Float64()-1
		if d.corners { // the sensors of one make err alike
			sign := float64(2*r.IntN(2) - 1)
			if g > 0 {
				sign = faults[0].gain / accuracy.GainRel
			}
			x, y = sign, -sign
		}
		faults[g] = fault{gain: accuracy.GainRel * x, offsetW: accuracy.OffsetW * y}
	}
	values := make([][]float64, d.loads)
	var pooled []float64
	var systematic float64
	for i := range values {
		factors := make([]float64, d.windows)
		load := 1 + d.between*r.NormFloat64()
		for k := range factors {
			factors[k] = load * (1 + d.within*r.NormFloat64())
		}
		joules, window, err := d.load(faults, func(k int) float64 { return factors[k] }, r)
		if err != nil {
			return outcome{}, err
		}
		for _, j := range joules {
			values[i] = append(values[i], j/float64(d.passes*server.tokens))
		}
		systematic = window.SystematicRel()
		pooled = append(pooled, values[i]...)
	}
	spec := perToken
	spec.SystematicRel = &systematic
	e, err := stats.SummarizeLoads(spec, values)
	if err != nil {
		return outcome{}, err
	}
	naive, err := stats.TInterval(pooled)
	if err != nil {
		return outcome{}, err
	}
	physical, read := d.truth(faults)
	wide := *e.SystematicRel * e.Centre
	o := outcome{
		sensorTruth:   *e.Lo <= read && read <= *e.Hi,
		physicalTruth: *e.Lo-wide <= physical && physical <= *e.Hi+wide,
		pooled:        naive.Lo <= read && read <= naive.Hi,
	}
	if e.Components != nil {
		o.components = *e.Components
	}
	return o, nil
}

// load is one start: the joules of its windows over all GPUs, and the last window.
func (d design) load(faults []fault, factor func(int) float64, r *rand.Rand) ([]float64, energy.Window, error) {
	joules := make([]float64, d.windows)
	var last energy.Window
	domains := make([]energy.Domain, d.gpus)
	windows := make([][]energy.Window, d.windows)
	for g := range domains {
		s := d.sensor
		s.domain.ID = fmt.Sprintf("gpu%d", g)
		s.domain.DeviceIDs = []string{s.domain.ID}
		domains[g] = s.domain
		found, err := trial(s, server, 10*second, d.windows, d.passes, factor, faults[g], r)
		if err != nil {
			return nil, energy.Window{}, err
		}
		for k, m := range found {
			windows[k] = append(windows[k], m.window)
		}
	}
	for k := range windows {
		total, _, err := energy.Total(domains, windows[k])
		if err != nil {
			return nil, energy.Window{}, err
		}
		joules[k], last = total.EnergyJ, total
	}
	return joules, last, nil
}

// truth is J/token of an engine without spread: the device's own, and on the scale
// of its sensors.
func (d design) truth(faults []fault) (physical, read float64) {
	lead := d.sensor.lead(server)
	w := newWave(0)
	server.run(w, 2*lead+d.windows*d.passes, nil)
	from, to := int64(lead)*server.passNs(), int64(lead+d.windows*d.passes)*server.passNs()
	joules, tokens := w.between(from, to), float64(d.windows*d.passes*server.tokens)
	for _, f := range faults {
		physical += joules / tokens
		read += f.read(joules, to-from) / tokens
	}
	return physical, read
}

// intervals holds the intervals of whole studies against the truth.
func intervals(e effort) (report, error) {
	var out report
	slack := e.slack(0.05)
	coverage := func(f figure) figure { return f.within(94.3-slack, 95.7+slack) }
	seed := uint64(2000)
	run := func(d design) ([]outcome, error) {
		seed++
		return each(e.studies, seed, func(r *rand.Rand, _ int) (outcome, error) { return d.study(r) })
	}
	physical := map[bool][2]int{}
	for _, s := range sensors() {
		passes := 4
		if s.averageNs >= second {
			passes = 57 // a sensor that averages over 1 s is not for windows of 2 s
		}
		for _, n := range []int{3, 5, 10} {
			found, err := run(design{sensor: s, gpus: 1, loads: n, windows: 1, passes: passes, between: 0.01})
			if err != nil {
				return report{}, err
			}
			f := e.share("T2", fmt.Sprintf("coverage, n = %d, %s", n, s.name), count(found, func(o outcome) bool { return o.sensorTruth }))
			if s.full {
				f = coverage(f)
			}
			out.figures = append(out.figures, f)
			if s.full {
				p := physical[false]
				physical[false] = [2]int{p[0] + count(found, func(o outcome) bool { return o.physicalTruth }), p[1] + len(found)}
			}
		}
	}
	ring := sensors()[0]
	for _, n := range []int{3, 5, 10} {
		found, err := run(design{sensor: ring, gpus: 2, loads: n, windows: 1, passes: 4, between: 0.01, corners: true})
		if err != nil {
			return report{}, err
		}
		out.figures = append(out.figures, coverage(e.share("T2", fmt.Sprintf("coverage, n = %d, sum of two GPUs", n), count(found, func(o outcome) bool { return o.sensorTruth }))))
		p := physical[true]
		physical[true] = [2]int{p[0] + count(found, func(o outcome) bool { return o.physicalTruth }), p[1] + len(found)}
	}
	for _, corners := range []bool{false, true} {
		name := "physical truth held by random + systematic, gain within its bounds"
		if corners {
			name = "physical truth held by random + systematic, gain on its bounds"
		}
		out.figures = append(out.figures, percent("T2", name, float64(physical[corners][0])/float64(physical[corners][1])).atLeast(95-slack))
	}
	for _, windows := range []int{2, 3} {
		for _, n := range []int{3, 5, 10} {
			found, err := run(design{sensor: ring, gpus: 1, loads: n, windows: windows, passes: 4, between: 0.008, within: 0.004})
			if err != nil {
				return report{}, err
			}
			out.figures = append(out.figures, coverage(e.share("T2", fmt.Sprintf("coverage, n = %d loads of %d windows, loads spread twice", n, windows), count(found, func(o outcome) bool { return o.sensorTruth }))))
			if n == 5 {
				out.figures = append(out.figures, e.share("T2", fmt.Sprintf("  every window taken for a sample (not done), %d x %d", n, windows), count(found, func(o outcome) bool { return o.pooled })))
			}
		}
	}
	return out, nil
}

// count is the number of outcomes for which is holds.
func count(x []outcome, is func(outcome) bool) int {
	n := 0
	for _, o := range x {
		if is(o) {
			n++
		}
	}
	return n
}
