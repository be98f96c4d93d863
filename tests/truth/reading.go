package main

import (
	"fmt"
	"sort"
)

// meanReach asks the recording how far back the mean reaches that a sample of the
// ring stands for, in intervals between samples: 1 = to the sample before, 0 = the
// sample is power at its stamp or a mean over a fixed time.
//
// The samples come 8 to 36 ms apart. While power steps, a sample at offset o from
// the step that is a mean over the dt before it has risen as far as a moment at
// o - dt/2 would have. So of value = a + b·o + c·dt over the samples that see steps,
// -2·c/b is the reach.
func (r recording) meanReach(rising bool) (figure, error) {
	var x [][3]float64
	var y []float64
	samples := r.ring.Samples()
	for _, phase := range []string{"sq0.2", "sq0.5"} {
		for _, p := range r.phases[phase] {
			step := p.from
			if !rising {
				step = p.to
			}
			i := sort.Search(len(samples), func(i int) bool { return samples[i].MonoNs >= step })
			for ; i > 0 && i < len(samples); i++ {
				offset := float64(samples[i].MonoNs-step) / 1e6
				if offset > 25 {
					break
				}
				if offset >= 5 {
					x = append(x, [3]float64{1, offset, float64(samples[i].MonoNs-samples[i-1].MonoNs) / 1e6})
					y = append(y, float64(samples[i].Value)/1000)
				}
			}
		}
	}
	edge := "falling"
	if rising {
		edge = "rising"
	}
	b, ok := leastSquares(x, y)
	if !ok {
		return figure{}, fmt.Errorf("the %s edges of the recording cannot tell a sample's offset from its interval", edge)
	}
	return figure{target: "T1", name: fmt.Sprintf("reach of a ring sample's mean, %d samples at %s edges", len(y), edge),
		value: -2 * b[2] / b[1], format: "%.1f intervals", note: "1 = mean of the time since the last sample, 0 = a moment or a fixed time"}, nil
}

// leastSquares solves the normal equations of three regressors.
func leastSquares(x [][3]float64, y []float64) (b [3]float64, ok bool) {
	var m [3][4]float64
	for i, row := range x {
		for j := range row {
			for k := range row {
				m[j][k] += row[j] * row[k]
			}
			m[j][3] += row[j] * y[i]
		}
	}
	for c := range m {
		if m[c][c] == 0 {
			return b, false
		}
		for row := range m {
			if row == c {
				continue
			}
			f := m[row][c] / m[c][c]
			for k := range m[row] {
				m[row][k] -= f * m[c][k]
			}
		}
	}
	for j := range b {
		b[j] = m[j][3] / m[j][j]
	}
	return b, true
}
