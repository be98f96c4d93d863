package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Resamples of every bootstrap.
const Resamples = 2000 // as many as the reference vectors use

// MinBCa is the least number of samples for a BCa interval beside the t interval.
// At n = 5 a nominal 95 % BCa interval covers 84 %, at 10 90 %, at 20 93 %, where
// t covers 95 % (simulation on normal data).
const MinBCa = 20

// ErrDegenerate: the resampled values give no interval (all samples equal).
var ErrDegenerate = errors.New("bootstrap is degenerate")

// BCaResult is a bias-corrected and accelerated bootstrap interval with the
// numbers that made it.
type BCaResult struct {
	Interval
	// Theta is the statistic of the data, Z0 the bias correction, A the acceleration,
	// Alpha1 and Alpha2 the percentiles taken.
	Theta, Z0, A, Alpha1, Alpha2 float64
	// CountLess and CountLessEqual count resamples below, and at or below, Theta.
	CountLess, CountLessEqual int
	// SE is the standard deviation over the resamples.
	SE float64
	// replicates are the resampled statistics in the order drawn.
	replicates []float64
}

// BCaMean is the BCa interval of the mean (Efron 1987, in the form that scipy
// uses), with 2,000 resamples. It computes for any n >= 2; whether it may be shown
// is decided by MinBCa.
func BCaMean(x []float64, seed uint64) (BCaResult, error) {
	if len(x) < 2 {
		return BCaResult{}, fmt.Errorf("bootstrap needs at least 2 values, has %d", len(x))
	}
	if err := finite("bootstrap", x); err != nil {
		return BCaResult{}, err
	}
	r := BCaResult{Theta: Mean(x), replicates: replicates(x, seed)}
	// Replicates equal to Theta up to rounding must not flip between < and <=.
	slack := 1e-12 * math.Abs(r.Theta)
	for _, v := range r.replicates {
		if v < r.Theta-slack {
			r.CountLess++
		}
		if v <= r.Theta+slack {
			r.CountLessEqual++
		}
	}
	r.SE = StdDev(r.replicates)
	r.A = acceleration(x)
	r.Z0 = normalQuantile(float64(r.CountLess+r.CountLessEqual) / (2 * Resamples))
	z := normalQuantile((1 - Confidence) / 2)
	r.Alpha1 = normalCDF(r.Z0 + (r.Z0+z)/(1-r.A*(r.Z0+z)))
	r.Alpha2 = normalCDF(r.Z0 + (r.Z0-z)/(1-r.A*(r.Z0-z)))
	if !(r.Alpha1 >= 0 && r.Alpha2 <= 1) || r.SE <= slack {
		return BCaResult{}, ErrDegenerate
	}
	sorted := slices.Sorted(slices.Values(r.replicates))
	r.Lo, r.Hi = percentileSorted(sorted, r.Alpha1), percentileSorted(sorted, r.Alpha2)
	return r, nil
}

// replicates are the means of all resamples, in the order drawn.
func replicates(x []float64, seed uint64) []float64 {
	rng := splitmix64(seed)
	out := make([]float64, Resamples)
	row := make([]float64, len(x))
	for b := range out {
		for i := range row {
			row[i] = x[rng.index(len(x))]
		}
		out[b] = Mean(row)
	}
	return out
}

// acceleration from the jackknife: with U = (n-1)(mean theta_i - theta_i),
// a = (sum U³/n³) / (sum U²/n²)^1.5 / 6.
func acceleration(x []float64) float64 {
	n := len(x)
	theta := make([]float64, n)
	for i := range n {
		theta[i] = Mean(slices.Delete(slices.Clone(x), i, i+1))
	}
	third, second := 0.0, 0.0
	mean, size := Mean(theta), float64(n)
	for _, v := range theta {
		u := (size - 1) * (mean - v)
		third += u * u * u / (size * size * size)
		second += u * u / (size * size)
	}
	if second == 0 {
		return 0
	}
	return third / math.Pow(second, 1.5) / 6
}
