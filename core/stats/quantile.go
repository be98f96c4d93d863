package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// TQuantile is the p-quantile of Student's t with df degrees of freedom (df > 0,
// not necessarily whole).
func TQuantile(p, df float64) float64 {
	switch {
	case !(p > 0 && p < 1) || !(df > 0):
		return math.NaN()
	case p == 0.5:
		return 0
	case p < 0.5:
		return -TQuantile(1-p, df)
	case math.IsInf(df, 1):
		return normalQuantile(p)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}
	x := t.Quantile(p)
	// One or two Newton steps on the upper tail undo what the inverse of the
	// incomplete beta function loses.
	for range 3 {
		density := t.Prob(x)
		if density == 0 || math.IsInf(x, 0) {
			break
		}
		step := (t.CDF(x) - p) / density
		if math.IsNaN(step) || math.Abs(step) > 1e-3*math.Abs(x) {
			break
		}
		x -= step
	}
	return x
}

// tTwoSided is the factor of a two-sided interval at Confidence.
func tTwoSided(df float64) float64 { return TQuantile(1-(1-Confidence)/2, df) }

// tPTwoSided is the two-sided p-value of a t statistic. Taken from the lower tail,
// so that small values keep their digits.
func tPTwoSided(t, df float64) float64 {
	if math.IsInf(t, 0) {
		return 0
	}
	return math.Min(1, 2*distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.CDF(-math.Abs(t)))
}

func normalQuantile(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// normalCDF by the complementary error function: accurate in both tails.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
