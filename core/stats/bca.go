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
	return bca([][]float64{x}, false, func(s [][]float64) float64 { return Mean(s[0]) }, seed)
}

// BCaRatio is the BCa interval of mean(b)/mean(a). paired draws the same indices
// for both.
func BCaRatio(a, b []float64, paired bool, seed uint64) (BCaResult, error) {
	if err := positive("bootstrap ratio, baseline", a); err != nil {
		return BCaResult{}, err
	}
	return bca([][]float64{a, b}, paired, func(s [][]float64) float64 { return Mean(s[1]) / Mean(s[0]) }, seed)
}

// bca draws all resamples of the first sample, then of the second; paired samples
// share one set of indices.
func bca(samples [][]float64, paired bool, stat func([][]float64) float64, seed uint64) (BCaResult, error) {
	for _, x := range samples {
		if len(x) < 2 {
			return BCaResult{}, fmt.Errorf("bootstrap needs at least 2 values, has %d", len(x))
		}
		if err := finite("bootstrap", x); err != nil {
			return BCaResult{}, err
		}
		if paired && len(x) != len(samples[0]) {
			return BCaResult{}, fmt.Errorf("paired bootstrap: %d and %d values", len(samples[0]), len(x))
		}
	}
	r := BCaResult{Theta: stat(samples), replicates: replicates(samples, paired, stat, seed)}
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
	r.A = acceleration(samples, paired, stat)
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

func replicates(samples [][]float64, paired bool, stat func([][]float64) float64, seed uint64) []float64 {
	rng := splitmix64(seed)
	drawn := make([][][]float64, len(samples)) // sample, resample, values
	var indices []int
	for j, x := range samples {
		if j == 0 || !paired {
			indices = make([]int, Resamples*len(x))
			for k := range indices {
				indices[k] = rng.index(len(x))
			}
		}
		drawn[j] = make([][]float64, Resamples)
		for b := range Resamples {
			row := make([]float64, len(x))
			for i := range row {
				row[i] = x[indices[b*len(x)+i]]
			}
			drawn[j][b] = row
		}
	}
	out := make([]float64, Resamples)
	set := make([][]float64, len(samples))
	for b := range out {
		for j := range set {
			set[j] = drawn[j][b]
		}
		out[b] = stat(set)
	}
	return out
}

// acceleration from the jackknife: with U = (n-1)(mean theta_i - theta_i) per
// sample, a = sum(sum U³/n³) / sum(sum U²/n²)^1.5 / 6. Paired samples lose one
// pair at a time.
func acceleration(samples [][]float64, paired bool, stat func([][]float64) float64) float64 {
	third, second := 0.0, 0.0
	for j := range samples {
		n := len(samples[j])
		theta := make([]float64, n)
		for i := range n {
			left := slices.Clone(samples)
			for k := range left {
				if k == j || paired {
					left[k] = slices.Delete(slices.Clone(samples[k]), i, i+1)
				}
			}
			theta[i] = stat(left)
		}
		mean, size := Mean(theta), float64(n)
		for _, v := range theta {
			u := (size - 1) * (mean - v)
			third += u * u * u / (size * size * size)
			second += u * u / (size * size)
		}
		if paired {
			break
		}
	}
	if second == 0 {
		return 0
	}
	return third / math.Pow(second, 1.5) / 6
}
