package main

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/llenergymeasure/llem/core/stats"
)

// power is the chance that a two-sided t test at the 5 % level with df degrees of
// freedom finds a shift that is delta standard errors large.
func power(delta, df float64) float64 {
	critical := stats.TQuantile(0.975, df)
	return 1 - noncentralT(critical, delta, df) + noncentralT(-critical, delta, df)
}

// noncentralT is P(T <= t) for Student's t with df degrees of freedom and
// noncentrality delta, by the series of R. V. Lenth, "Algorithm AS 243: Cumulative
// distribution function of the non-central t distribution", Applied Statistics 38
// (1989), 185-189. The product's own power integral goes another way, so that each
// is a check on the other.
func noncentralT(t, delta, df float64) float64 {
	if t < 0 {
		return 1 - noncentralT(-t, -delta, df)
	}
	sum := 0.0
	x, half := t*t/(df+t*t), delta*delta/2
	for j := range 1000 {
		k := float64(j)
		p := poisson(k, half)
		gamma, _ := math.Lgamma(k + 1.5)
		q := delta / math.Sqrt2 * math.Exp(-half+k*math.Log(half)-gamma)
		if half == 0 {
			q = 0
		}
		term := p*mathext.RegIncBeta(k+0.5, df/2, x) + q*mathext.RegIncBeta(k+1, df/2, x)
		sum += term
		if k > half && math.Abs(term) < 1e-14 {
			break
		}
	}
	return distuv.UnitNormal.CDF(-delta) + sum/2
}

// poisson is the probability of k at a mean.
func poisson(k, mean float64) float64 {
	if mean == 0 {
		if k == 0 {
			return 1
		}
		return 0
	}
	gamma, _ := math.Lgamma(k + 1)
	return math.Exp(-mean + k*math.Log(mean) - gamma)
}
