package main

import (
	"fmt"
	"io"
	"math"

	"github.com/llenergymeasure/llem/core/stats"
)

// wantedRel is the effect that has to be told from none.
const wantedRel = 0.001

// effect compares the two kinds of stretches: a quad is one sample.
func effect(quads [][4]stretch, metric, unit string, of func(stretch) float64) (stats.Comparison, error) {
	var with, without []float64
	for _, q := range quads {
		var sums [2]float64
		for _, s := range q {
			k := 0
			if s.watched {
				k = 1
			}
			sums[k] += math.Log(of(s)) / 2
		}
		without, with = append(without, math.Exp(sums[0])), append(with, math.Exp(sums[1]))
	}
	return stats.ComparePaired(stats.Spec{Metric: metric, Unit: unit}, without, with)
}

// scatter is by how much two stretches of a kind in one quad are apart, as a relative
// standard deviation.
func scatter(quads [][4]stretch, watched bool) float64 {
	var squares float64
	for _, q := range quads {
		var values []float64
		for _, s := range q {
			if s.watched == watched {
				values = append(values, math.Log(s.perPassJ()))
			}
		}
		d := values[1] - values[0]
		squares += d * d / 2
	}
	return math.Sqrt(squares / float64(len(quads)))
}

// tell prints what was found.
func tell(w io.Writer, quads [][4]stretch) error {
	for i, q := range quads {
		one, err := effect([][4]stretch{q}, "energy per pass", "J", stretch.perPassJ)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "quad %d: watched / not watched %+.4f %%\n", i+1, 100*(one.Ratio-1))
	}
	var found stats.Comparison
	for _, m := range []struct {
		metric, unit string
		of           func(stretch) float64
	}{{"power", "W", stretch.watts}, {"time per pass", "s", stretch.perPassS}, {"energy per pass", "J", stretch.perPassJ}} {
		c, err := effect(quads, m.metric, m.unit, m.of)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s, watched / not watched: %+.4f %% [%+.4f, %+.4f] over %d quads\n", m.metric, 100*(c.Ratio-1), 100*(*c.Lo-1), 100*(*c.Hi-1), c.N)
		found = c
	}
	fmt.Fprintf(w, "scatter of energy per pass in a quad: watched %.4f %%, not watched %.4f %%\n", 100*scatter(quads, true), 100*scatter(quads, false))
	word := "resolved"
	if (*found.Hi-*found.Lo)/2 > wantedRel {
		word = "NOT resolved: take more quads"
	}
	fmt.Fprintf(w, "%.2g %% is %s (half of the interval is %.4f %%)\n", 100*wantedRel, word, 100*(*found.Hi-*found.Lo)/2)
	return nil
}
