package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// TQuantile is the p-quantile of Student's t with df degrees of freedom (df > 0,
// not necessarily whole); NaN outside 0 < p < 1.
func TQuantile(p, df float64) float64 {
	switch {
	case !(p > 0 && p < 1) || !(df > 0):
		return math.NaN()
	case p == 0.5:
		return 0
	case p > 0.5:
		return -TQuantile(1-p, df)
	case math.IsInf(df, 1):
		return normalQuantile(p)
	}
	// The library's quantile is good to about 1e-8; Newton steps on the lower tail,
	// whose digits do not drown beside 1, bring it to the last few bits.
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}
	x := t.Quantile(p)
	if df > 1000 { // there it can fail in the tail, and the normal is near
		x = normalQuantile(p)
	}
	for range 6 {
		density := t.Prob(x)
		step := (tTail(-x, df) - p) / density
		if !(math.Abs(step) < 0.1*math.Abs(x)) {
			break
		}
		x -= step
	}
	return x
}

// tTwoSided is the factor of a two-sided interval at Confidence.
func tTwoSided(df float64) float64 { return -TQuantile((1-Confidence)/2, df) }

// tPTwoSided is the two-sided p-value of a t statistic.
func tPTwoSided(t, df float64) float64 { return math.Min(1, 2*tTail(math.Abs(t), df)) }

// tTail is P(T > t) for t >= 0: half the regularised incomplete beta function of
// df/(df+t²) at (df/2, 1/2).
func tTail(t, df float64) float64 {
	if math.IsInf(t, 1) {
		return 0
	}
	x := df / (df + t*t)
	a, b := df/2, 0.5
	lgA, _ := math.Lgamma(a)
	lgB, _ := math.Lgamma(b)
	lgAB, _ := math.Lgamma(a + b)
	// log1p keeps the digits of 1-x = t²/(df+t²) when t is small.
	front := math.Exp(lgAB - lgA - lgB - a*math.Log1p(t*t/df) + b*math.Log(t*t/(df+t*t)))
	if t == 0 {
		return 0.5
	}
	if x < (a+1)/(a+b+2) {
		return 0.5 * front * betaFraction(x, a, b) / a
	}
	return 0.5 * (1 - front*betaFraction(t*t/(df+t*t), b, a)/b)
}

// betaFraction is the continued fraction of the incomplete beta function (DLMF
// 8.17.22), evaluated by Lentz's method.
func betaFraction(x, a, b float64) float64 {
	const tiny = 1e-300
	guard := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/guard(1-(a+b)*x/(a+1))
	out := d
	for i := 1; i < 10000; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/guard(1+even*d), guard(1+even/c)
		out *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/guard(1+odd*d), guard(1+odd/c)
		out *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return out
}

func normalQuantile(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// normalCDF by the complementary error function: accurate in both tails.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
