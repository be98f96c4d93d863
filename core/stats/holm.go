package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Holm adjusts p-values of one family of comparisons (Holm 1979): the chance of
// one or more false hits stays below the level. Results keep the order of p.
func Holm(p []float64) ([]float64, error) {
	order := make([]int, len(p))
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("Holm adjustment: p-value %d of %d is %v", i+1, len(p), v)
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	out, floor := make([]float64, len(p)), 0.0
	for rank, i := range order {
		floor = math.Max(floor, math.Min(1, p[i]*float64(len(p)-rank)))
		out[i] = floor
	}
	return out, nil
}
