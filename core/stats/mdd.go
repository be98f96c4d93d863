package stats

import (
	"fmt"
	"math"
)

// Power behind every minimal detectable difference: the chance of finding a
// difference of that size at the 5 % level.
const Power = 0.8

// MDDUnpairedExact is the smallest relative difference that two groups of n values each
// with coefficient of variation cv would show with probability Power. It solves for the
// power of the two-sided t test itself (noncentral t), where mdd takes the sum of two
// quantiles; the two differ by 1 % at n = 3.
func MDDUnpairedExact(cv float64, n int) (float64, error) {
	if n < 2 || !(cv >= 0) || math.IsInf(cv, 0) {
		return 0, fmt.Errorf("minimal detectable difference needs n >= 2 and a finite cv, has n = %d and cv = %v", n, cv)
	}
	df, critical := float64(2*n-2), tTwoSided(float64(2*n-2))
	lo, hi := 0.0, 100.0
	for range 60 {
		if mid := (lo + hi) / 2; tPower(mid, critical, df) < Power {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2 * cv * math.Sqrt(2/float64(n)), nil
}

// mdd from a standard error and its degrees of freedom: (t(0.975)+t(0.8)) times the
// error, which is cv·√(2/n) at 2n-2 degrees of freedom for two groups, and cv/√n at n-1
// for n pairs whose differences spread by cv.
func mdd(se, df float64) float64 { return mddAt(1-Confidence, se, df) }

// mddAt is mdd of a test at another level.
func mddAt(level, se, df float64) float64 {
	return (TQuantile(1-level/2, df) + TQuantile(Power, df)) * se
}

// tPower is P(|T| > critical) for noncentrality shift: with T = (Z+shift)/S, the
// normal tails are integrated over the density of S = √(χ²/df) by Simpson's rule.
func tPower(shift, critical, df float64) float64 {
	gamma, _ := math.Lgamma(df / 2)
	logScale := math.Log(2) + df/2*math.Log(df/2) - gamma
	const steps = 1000
	width := (1 + 12/math.Sqrt(2*df)) / steps
	sum := 0.0
	for i := 1; i <= steps; i++ {
		s := float64(i) * width
		density := math.Exp(logScale + (df-1)*math.Log(s) - df*s*s/2)
		f := density * (normalCDF(shift-critical*s) + normalCDF(-shift-critical*s))
		switch {
		case i == steps:
			sum += f
		case i%2 == 1:
			sum += 4 * f
		default:
			sum += 2 * f
		}
	}
	return sum * width / 3
}
