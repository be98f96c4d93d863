package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// lengths draws the error of a window against its length, for windows that begin
// anywhere in a pass, by each method of this product and by plain counter reads.
func lengths(e effort) (plot, error) {
	seconds := []float64{0.5, 1, 2, 5, 10, 20, 30, 60}
	all := sensors()
	ring, counter, ada, mean, duty := all[0], all[2], all[6], all[7], all[9]
	methods := []struct {
		name   string
		sensor sensor
		raw    bool
	}{
		{"counter read at the edges (other tools)", counter, true},
		{"25 of 100 ms (trapezoid)", duty, false},
		{"mean of the last 1 s (tiled)", mean, false},
		{"100 of 100 ms (trapezoid)", ada, false},
		{"counter (interpolated)", counter, false},
		{"sample ring (interval mean)", ring, false},
	}
	p := plot{file: "window-error.svg", title: "Error of one window against its length (rms)",
		x: "window, s", y: "error, %", logX: true, logY: true}
	passes := int(64*second/server.passNs()) + 1
	for k, m := range methods {
		off, err := each(e.studies/20, 3000+uint64(k), func(r *rand.Rand, _ int) ([]float64, error) {
			w := newWave(10 * second)
			server.run(w, passes, nil)
			t, err := m.sensor.record(w, w.bounds[0]+m.sensor.averageNs, w.end(), fault{}, r)
			if err != nil {
				return nil, err
			}
			out := make([]float64, len(seconds))
			for i, s := range seconds {
				length := int64(s * 1e9)
				from := w.bounds[0] + 3*second/2 + r.Int64N(w.end()-w.bounds[0]-2*second-length)
				truth := w.between(from, from+length)
				if m.raw {
					out[i] = rawDifference(t, span{from, from + length})/truth - 1
					continue
				}
				window, err := t.Window(from, from+length)
				if err != nil {
					return nil, fmt.Errorf("%s, %g s: %w", m.name, s, err)
				}
				out[i] = window.EnergyJ/truth - 1
			}
			return out, nil
		})
		if err != nil {
			return plot{}, err
		}
		l := line{name: m.name, x: seconds}
		for i := range seconds {
			sum := 0.0
			for _, o := range off {
				sum += o[i] * o[i] / float64(len(off))
			}
			l.y = append(l.y, 100*math.Sqrt(sum))
		}
		p.lines = append(p.lines, l)
	}
	return p, nil
}
