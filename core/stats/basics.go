package stats

import (
	"fmt"
	"math"
	"slices"
)

// Mean is the arithmetic mean, summed from left to right; NaN for no values.
func Mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// StdDev is the sample standard deviation (n-1 below); NaN for fewer than two.
func StdDev(x []float64) float64 {
	if len(x) > 1 && constant(x) {
		return 0 // the rounded mean of equal values may differ from them
	}
	m, sum := Mean(x), 0.0
	for _, v := range x {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

// CV is the coefficient of variation, StdDev/|Mean|; NaN for fewer than two values
// or a mean of zero.
func CV(x []float64) float64 {
	m := Mean(x)
	if m == 0 {
		return math.NaN()
	}
	return StdDev(x) / math.Abs(m)
}

// Median is the 50th percentile; NaN for no values.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return percentileSorted(slices.Sorted(slices.Values(x)), 0.5)
}

// percentileSorted is by numpy's default (linear) rule: position share*(n-1), straight
// line between its neighbours.
func percentileSorted(x []float64, share float64) float64 {
	pos := share * float64(len(x)-1)
	lower := min(int(pos), len(x)-1)
	if lower == len(x)-1 {
		return x[lower]
	}
	return x[lower] + (x[lower+1]-x[lower])*(pos-float64(lower))
}

// TInterval is Student's interval for the mean: mean ± t(0.975, n-1)·s/√n. It
// needs two values.
func TInterval(x []float64) (Interval, error) {
	if len(x) < 2 {
		return Interval{}, fmt.Errorf("t interval needs at least 2 values, has %d", len(x))
	}
	if err := finite("t interval", x); err != nil {
		return Interval{}, err
	}
	if constant(x) {
		return Interval{Lo: x[0], Hi: x[0]}, nil
	}
	m := Mean(x)
	half := tTwoSided(float64(len(x)-1)) * StdDev(x) / math.Sqrt(float64(len(x)))
	return Interval{Lo: m - half, Hi: m + half}, nil
}

func constant(x []float64) bool { return len(x) > 0 && slices.Min(x) == slices.Max(x) }
