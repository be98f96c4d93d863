package measure

import (
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// leastLatencies is how many requests a quantile table needs.
const leastLatencies = 2

// latencies of the requests of a window:
//
//	TTFT = first token - intended send
//	TPOT = (last token - first token) / (output tokens - 1)
//	E2E  = last token - intended send
//
// Failed requests and those without stamps are left out; the window's own
// counts tell how many those are.
func latencies(done []sdk.Completion) (ttft, tpot, e2e *result.Quantiles) {
	var first, per, whole []int64
	for _, c := range done {
		if c.Failed() || c.FirstNs == 0 || c.LastNs == 0 {
			continue
		}
		first = append(first, c.FirstNs-c.IntendedNs)
		whole = append(whole, c.LastNs-c.IntendedNs)
		if c.OutputTokens > 1 {
			per = append(per, (c.LastNs-c.FirstNs)/int64(c.OutputTokens-1))
		}
	}
	return quantiles(first), quantiles(per), quantiles(whole)
}

// quantiles interpolates linearly between order statistics.
func quantiles(ns []int64) *result.Quantiles {
	if len(ns) < leastLatencies {
		return nil
	}
	slices.Sort(ns)
	sum := 0.0
	for _, v := range ns {
		sum += float64(v)
	}
	at := func(p float64) int64 {
		position := p * float64(len(ns)-1)
		low := int(math.Floor(position))
		high := min(low+1, len(ns)-1)
		return ns[low] + int64(math.Round((position-float64(low))*float64(ns[high]-ns[low])))
	}
	return &result.Quantiles{
		N: len(ns), MeanNs: int64(math.Round(sum / float64(len(ns)))),
		P50Ns: at(0.50), P90Ns: at(0.90), P95Ns: at(0.95), P99Ns: at(0.99),
	}
}
