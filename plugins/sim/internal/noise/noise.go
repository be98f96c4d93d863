// Package noise gives random numbers that are a pure function of a seed and a
// place, so that they do not depend on what was drawn before.
package noise

import "math/rand/v2"

// Factor returns 1 plus a normally distributed error of the given relative
// standard deviation, for the k-th value of the seed's series. It is never
// below 0.05: no step takes negative time and no device gives energy back.
func Factor(seed, k int64, rel float64) float64 {
	if rel == 0 {
		return 1
	}
	return max(0.05, 1+rel*rand.New(rand.NewPCG(uint64(seed), uint64(k))).NormFloat64())
}
