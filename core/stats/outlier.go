package stats

import (
	"fmt"
	"math"
)

// ModifiedZ is 0.6745·(x-median)/MAD for every value (Iglewicz and Hoaglin 1993).
// Where more than half of the values are equal (MAD = 0) the mean absolute
// deviation stands in, as (x-median)/(1.253314·meanAD); where all are equal every
// score is 0.
func ModifiedZ(x []float64) []float64 {
	z := make([]float64, len(x))
	if len(x) == 0 {
		return z
	}
	m := Median(x)
	away := make([]float64, len(x))
	for i, v := range x {
		away[i] = math.Abs(v - m)
	}
	scale := Median(away) / normalQuantile(0.75)
	if scale == 0 {
		scale = Mean(away) * math.Sqrt(math.Pi/2)
	}
	if scale == 0 {
		return z
	}
	for i, v := range x {
		z[i] = (v - m) / scale
	}
	return z
}

// outlierZ is the customary limit of the modified z score.
const outlierZ = 3.5

// Outliers are the indices of values with |modified z| > 3.5. They are flagged and
// never removed.
func Outliers(x []float64) []int {
	var out []int
	for i, z := range ModifiedZ(x) {
		if math.Abs(z) > outlierZ {
			out = append(out, i)
		}
	}
	return out
}

// GrubbsResult is the test for one outlier.
type GrubbsResult struct {
	// G is the largest deviation from the mean in standard deviations, Index its
	// place, Critical the two-sided 5 % limit.
	G, Critical float64
	Index       int
	Outlier     bool
}

// Grubbs tests the value farthest from the mean (Grubbs 1969, two-sided 5 %). It
// needs three values and is of use from six.
func Grubbs(x []float64) (GrubbsResult, error) {
	if len(x) < 3 {
		return GrubbsResult{}, fmt.Errorf("Grubbs' test needs at least 3 values, has %d", len(x))
	}
	if err := finite("Grubbs' test", x); err != nil {
		return GrubbsResult{}, err
	}
	m, s := Mean(x), StdDev(x)
	r := GrubbsResult{Critical: grubbsCritical(len(x))}
	if s == 0 {
		return r, nil
	}
	for i, v := range x {
		if g := math.Abs(v-m) / s; g > r.G {
			r.G, r.Index = g, i
		}
	}
	r.Outlier = r.G > r.Critical
	return r, nil
}

func grubbsCritical(n int) float64 {
	size := float64(n)
	t := TQuantile(1-0.05/(2*size), size-2)
	return (size - 1) / math.Sqrt(size) * math.Sqrt(t*t/(size-2+t*t))
}
