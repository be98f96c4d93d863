package stats

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// LeastForQuantile is how many values a p-quantile needs, 0 < p < 1, to have an
// interval between two of them, OrderRanks: 6 for the median, 36 for p90, 72 for
// p95, 368 for p99. With fewer, the quantile lies beyond the extreme value more
// often than the interval may miss it.
func LeastForQuantile(p float64) int {
	return int(math.Ceil(math.Log((1-Confidence)/2) / math.Log(math.Max(p, 1-p))))
}

// OrderRanks are the ranks, from 1, of the two of n values in order between which
// the p-quantile lies with at least Confidence, each tail at most half of what is
// left. It supposes independent values of any one distribution, and nothing else.
// ok is false where n is below LeastForQuantile.
func OrderRanks(p float64, n int) (lo, hi int, ok bool) {
	if !(p > 0 && p < 1) || n < LeastForQuantile(p) {
		return 0, 0, false
	}
	// How many of the values lie at or below the quantile is binomial.
	below := distuv.Binomial{N: float64(n), P: p}
	const tail = (1 - Confidence) / 2
	lo = sort.Search(n, func(k int) bool { return below.CDF(float64(k)) > tail })
	hi = 1 + sort.Search(n, func(k int) bool { return below.CDF(float64(k)) >= 1-tail })
	return lo, hi, lo >= 1 && hi <= n
}
