package loadgen

import "math/bits"

// histogram counts durations in buckets 3 % wide, in constant memory: a window
// may hold a hundred million reads.
type histogram struct {
	counts [64 * histogramSteps]int64
	n      int64
	most   int64
}

const (
	histogramBits  = 5
	histogramSteps = 1 << histogramBits
)

func (h *histogram) add(ns int64) {
	ns = max(ns, 0)
	h.counts[histogramBucket(ns)]++
	h.n++
	h.most = max(h.most, ns)
}

// histogramBucket is exact below 32 and has 32 buckets for each power of two.
func histogramBucket(ns int64) int {
	if ns < histogramSteps {
		return int(ns)
	}
	shift := bits.Len64(uint64(ns)) - 1 - histogramBits
	return (shift+1)<<histogramBits + int(ns>>shift)&(histogramSteps-1)
}

// quantile returns the upper edge of the bucket that holds the share; 0
// without values.
func (h *histogram) quantile(share float64) int64 {
	rank := int64(share * float64(h.n))
	if h.n == 0 {
		return 0
	}
	for i, count := range h.counts {
		if rank -= count; rank < 0 {
			return min(histogramEdge(i), h.most)
		}
	}
	return h.most
}

func histogramEdge(bucket int) int64 {
	if bucket < histogramSteps {
		return int64(bucket)
	}
	shift := bucket>>histogramBits - 1
	low := int64(histogramSteps+bucket&(histogramSteps-1)) << shift
	return low + int64(1)<<shift - 1
}
