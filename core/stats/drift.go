package stats

import (
	"math"
)

// Drift describes a trend over samples in the order in which they were taken.
type Drift struct {
	// Slope and Intercept are the least-squares line over the index 0..n-1, P the
	// slope's two-sided p-value.
	Slope, Intercept, SlopeSE, P float64
	// TheilSen is the median slope of all pairs.
	TheilSen float64
	// RunRel is Slope·(n-1)/mean: the drift over the whole run as a fraction.
	RunRel float64
	// S, Z and MannKendallP are the rank test for a monotone trend.
	S            int
	Var          float64
	Z            float64
	MannKendallP float64
	// Lag1 is the autocorrelation of neighbours.
	Lag1 float64
	// Present applies the rule: Mann-Kendall p < 0.05 and |RunRel| > 1 %.
	Present bool
}

// DriftOf looks for a trend; ok is false with fewer than three samples or where
// all are equal, as then there is none to look for.
func DriftOf(x []float64) (d Drift, ok bool) {
	n := len(x)
	if n < 3 || StdDev(x) == 0 || finite("drift", x) != nil {
		return Drift{}, false
	}
	size, mean := float64(n), Mean(x)
	middle := (size - 1) / 2
	var sxx, sxy, syy, neighbours float64
	var slopes []float64
	for i, v := range x {
		dx := float64(i) - middle
		sxx += dx * dx
		sxy += dx * (v - mean)
		syy += (v - mean) * (v - mean)
		if i > 0 {
			neighbours += (v - mean) * (x[i-1] - mean)
		}
		for j := range i {
			slopes = append(slopes, (v-x[j])/float64(i-j))
			d.S += sign(v - x[j])
		}
	}
	d.Slope = sxy / sxx
	d.Intercept = mean - d.Slope*middle
	residual := math.Max(0, syy-d.Slope*sxy)
	d.SlopeSE = math.Sqrt(residual / (size - 2) / sxx)
	d.P = tPTwoSided(d.Slope/d.SlopeSE, size-2)
	if d.SlopeSE == 0 {
		d.P = 0
	}
	if mean != 0 {
		d.RunRel = d.Slope * (size - 1) / mean
	}
	d.TheilSen = Median(slopes)
	d.Lag1 = neighbours / syy
	d.Var = mannKendallVar(x)
	if d.S != 0 && d.Var > 0 {
		// Continuity correction: S moves in steps of two.
		d.Z = float64(d.S-sign(float64(d.S))) / math.Sqrt(d.Var)
	}
	d.MannKendallP = math.Min(1, 2*normalCDF(-math.Abs(d.Z)))
	d.Present = d.MannKendallP < 0.05 && math.Abs(d.RunRel) > 0.01
	return d, true
}

// mannKendallVar is n(n-1)(2n+5)/18 less the same sum over groups of ties.
func mannKendallVar(x []float64) float64 {
	ties := map[float64]int{}
	for _, v := range x {
		ties[v]++
	}
	term := func(n int) float64 { return float64(n) * float64(n-1) * float64(2*n+5) }
	total := term(len(x))
	for _, n := range ties {
		total -= term(n)
	}
	return total / 18
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
