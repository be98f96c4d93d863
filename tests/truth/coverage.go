package main

import (
	"math/rand/v2"

	"github.com/llenergymeasure/llem/core/stats"
)

// coverageAgainstN draws what share of intervals that promise 95 % hold the truth,
// against the number of starts.
func coverageAgainstN(e effort) (plot, error) {
	ns := []int{2, 3, 5, 8, 12, 20}
	p := plot{file: "coverage.svg", title: "Intervals that promise 95 %: share that holds the truth",
		x: "starts (n)", y: "held, %", logX: true, lo: 60, hi: 100}
	t := line{name: "t over starts (used), sample ring"}
	pooled := line{name: "every window as a sample (3 a start)"}
	bca := line{name: "BCa bootstrap over starts"}
	promised := line{name: "promised", dashed: true}
	ring := sensors()[0]
	for i, n := range ns {
		d := design{sensor: ring, gpus: 1, loads: n, windows: 3, passes: 2, between: 0.008, within: 0.004}
		found, err := each(e.studies/2, 6000+uint64(i), func(r *rand.Rand, _ int) (outcome, error) { return d.study(r) })
		if err != nil {
			return plot{}, err
		}
		t.add(n, share(found, func(o outcome) bool { return o.sensorTruth }))
		pooled.add(n, share(found, func(o outcome) bool { return o.pooled }))
		promised.add(n, stats.Confidence)
		if n < 3 {
			continue
		}
		held, err := each(e.studies/5, 7000+uint64(i), func(r *rand.Rand, _ int) (outcome, error) {
			x := make([]float64, n)
			for k := range x {
				x[k] = 1 + 0.01*r.NormFloat64()
			}
			b, err := stats.BCaMean(x, r.Uint64())
			return outcome{sensorTruth: b.Lo <= 1 && 1 <= b.Hi}, err
		})
		if err != nil {
			return plot{}, err
		}
		bca.add(n, share(held, func(o outcome) bool { return o.sensorTruth }))
	}
	p.lines = []line{t, bca, pooled, promised}
	return p, nil
}

// add appends a share to a line against n.
func (l *line) add(n int, share float64) {
	l.x, l.y = append(l.x, float64(n)), append(l.y, 100*share)
}
