package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/energy"
)

const second = int64(1e9)

// lead is how many passes are run and recorded before and after the windows: longer
// than the sensor's average and lag.
func (s sensor) lead(e engine) int {
	return int((s.averageNs+s.delayNs+4*s.everyNs)/e.passNs()) + 1
}

// measured is one window beside what is true.
type measured struct {
	window energy.Window
	// trueJ is the device's energy, sensorJ what a perfect integral of the
	// sensor's own scale would be, tokens the work.
	trueJ, sensorJ, tokens float64
}

// off is the relative error against the sensor's truth.
func (m measured) off() float64 { return m.window.EnergyJ/m.sensorJ - 1 }

// trial runs the engine from begin on and measures windows of whole passes, one behind the
// other. factor scales the power of a window; the passes around take its
// neighbour's.
func trial(s sensor, e engine, begin int64, windows, passes int, factor func(window int) float64, f fault, r *rand.Rand) ([]measured, error) {
	lead := s.lead(e)
	w := newWave(begin)
	e.run(w, 2*lead+windows*passes, func(p int) float64 {
		return factor(max(0, min(windows-1, (p-lead)/passes)))
	})
	first := w.bounds[0] + int64(lead)*e.passNs()
	length := int64(passes) * e.passNs()
	t, err := s.record(w, w.bounds[0]+s.averageNs, w.end(), f, r)
	if err != nil {
		return nil, err
	}
	out := make([]measured, windows)
	for i := range out {
		from := first + int64(i)*length
		m := measured{trueJ: w.between(from, from+length), tokens: float64(passes * e.tokens)}
		m.sensorJ = f.read(m.trueJ, length)
		if m.window, err = t.Window(from, from+length); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		out[i] = m
	}
	return out, nil
}

// windows holds single windows of 10 s of every sensor against the truth: bias,
// spread, and whether the modelled random error promises what is kept.
func windows(e effort) (report, error) {
	var out report
	passes := int(10*second/server.passNs()) + 1
	for k, s := range sensors() {
		found, err := each(e.studies/10, 1000+uint64(k), func(r *rand.Rand, _ int) (measured, error) {
			m, err := trial(s, server, 10*second, 1, passes, func(int) float64 { return 1 }, fault{gain: 0.1 * (r.Float64() - 0.5), offsetW: 10 * (r.Float64() - 0.5)}, r)
			if err != nil {
				return measured{}, err
			}
			return m[0], nil
		})
		if err != nil {
			return report{}, err
		}
		var off []float64
		kept, modelled, worst := 0, 0.0, 0.0
		for _, m := range found {
			off = append(off, m.off())
			worst = max(worst, math.Abs(m.off()))
			modelled += m.window.RandomRel / float64(len(found))
			if math.Abs(m.off()) <= m.window.AliasRel+1.96*m.window.RandomRel {
				kept++
			}
		}
		bias, sd := meanAndSD(off)
		f := percent("T2", "bias of J/token, "+s.name, bias)
		f.format = "%.3f %%"
		f.note = fmt.Sprintf("sd %.3f %%, worst %.3f %%, coverage %.2f, %s", 100*sd, 100*worst, found[0].window.CoverageRatio, found[0].window.Method)
		modelledSD := percent("T2", "  errors within 1.96 modelled sd", float64(kept)/float64(len(found)))
		modelledSD.note = fmt.Sprintf("modelled sd %.3f %%", 100*modelled)
		if alias := found[0].window.AliasRel; alias > 0 {
			modelledSD.note += fmt.Sprintf(", and ±%.1f %% for time not looked at", 100*alias)
		}
		if s.full {
			f = f.within(-0.3, 0.3)
			modelledSD = modelledSD.atLeast(95 - e.slack(0.05))
		}
		out.figures = append(out.figures, f, modelledSD)
	}
	p, err := lengths(e)
	out.plots = append(out.plots, p)
	return out, err
}
