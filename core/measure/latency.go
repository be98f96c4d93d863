package measure

import (
	"fmt"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/sdk"
)

// leastLatencies is how many values a median needs.
const leastLatencies = 2

// latencies fills in those of the requests of a window:
//
//	TTFT  = first token - send
//	E2E   = last token - send
//	TPOT  = (last token - first token) / (output tokens - 1)
//	queue = actual send - intended send
//
// and the gaps between arrivals. TTFT and E2E are taken from the send that startOf
// names, and from the actual one. Requests that failed or were broken off are left
// out; the window's own counts tell how many those are.
func latencies(w *result.Window, done []sdk.Completion) {
	w.LatenciesAbsent = map[string]string{}
	start := startOf(*w)
	of := func(name, unknown string, take func(sdk.Completion) (int64, bool)) *result.Quantiles {
		var ns []int64
		without := 0
		for _, c := range done {
			if !finished(c) {
				continue
			}
			if v, known := take(c); known {
				ns = append(ns, v)
			} else {
				without++
			}
		}
		q, why := quantiles(ns, "requests")
		if len(ns) == 0 && without > 0 {
			why = unknown
		}
		if q == nil {
			w.LatenciesAbsent[name] = why
			return nil
		}
		q.Without = without
		return q
	}
	w.TTFT = of("ttft", noFirstToken, func(c sdk.Completion) (int64, bool) { return c.FirstNs - start(c), hasFirst(c) })
	w.TTFTSent = of("ttft_sent", noFirstToken, func(c sdk.Completion) (int64, bool) { return c.FirstNs - c.SentNs, hasFirst(c) })
	w.TPOT = of("tpot", noSecondToken, func(c sdk.Completion) (int64, bool) {
		between, gaps, known := outputTime(c)
		if !known {
			return 0, false
		}
		return int64(math.Round(float64(between) / float64(gaps))), true
	})
	w.E2E = of("e2e", noLastToken, func(c sdk.Completion) (int64, bool) { return c.LastNs - start(c), hasLast(c) })
	w.E2ESent = of("e2e_sent", noLastToken, func(c sdk.Completion) (int64, bool) { return c.LastNs - c.SentNs, hasLast(c) })
	w.Queue = of("queue", "no request has a stamp of its sending", func(c sdk.Completion) (int64, bool) { return c.SentNs - dueNs(c), c.SentNs != 0 })
	var why string
	if w.ArrivalGaps, why = arrivalGaps(done); w.ArrivalGaps == nil {
		w.LatenciesAbsent["arrival_gaps"] = why
	}
	if len(w.LatenciesAbsent) == 0 {
		w.LatenciesAbsent = nil
	}
}

// Why a latency or a goodput is absent.
const (
	noFirstToken  = "the backend gives no stamp of a request's first token"
	noLastToken   = "the backend gives no stamp of a request's last token"
	noSecondToken = "no request has stamps of two output tokens that came apart"
)

// finished requests have a latency; failed ones and those broken off do not.
func finished(c sdk.Completion) bool { return !c.Failed() && c.FinishReason != "aborted" }

// startOf is the send that the latencies of a window run from. In loops of single
// requests that is the intended one, so that a client that lags shows. In passes of
// batches nobody waits for an answer while a batch before it is computed: it is when
// the request's own batch went to the engine, and the wait since the pass began is
// queue time.
func startOf(w result.Window) func(sdk.Completion) int64 {
	if w.Passes > 0 {
		return func(c sdk.Completion) int64 { return c.SentNs }
	}
	return dueNs
}

// dueNs is the intended send. Without one the request was sent when it was due.
func dueNs(c sdk.Completion) int64 {
	if c.IntendedNs == 0 {
		return c.SentNs
	}
	return c.IntendedNs
}

func hasFirst(c sdk.Completion) bool { return c.SentNs != 0 && c.FirstNs != 0 }

func hasLast(c sdk.Completion) bool { return c.SentNs != 0 && c.LastNs != 0 }

// outputTime is from the first to the last token, and how many gaps between tokens
// are in it. It is not known of a single token, nor of an answer whose tokens all
// came at once, as without streaming: they took time, and nobody saw which.
func outputTime(c sdk.Completion) (ns, gaps int64, known bool) {
	ns, gaps = c.LastNs-c.FirstNs, int64(c.OutputTokens)-1
	return ns, gaps, c.FirstNs != 0 && ns > 0 && gaps > 0
}

// arrivalGaps are the times between neighbouring arrivals. They are between tokens
// if every arrival held one. Arrivals without any, such as the last words of a
// server, are none.
func arrivalGaps(done []sdk.Completion) (gaps *result.ArrivalGaps, why string) {
	var ns []int64
	var arrivals, tokens int64
	without, single := 0, true
	for _, c := range done {
		if !finished(c) {
			continue
		}
		lastNs, had := int64(0), len(ns)
		for _, chunk := range c.Chunks {
			if chunk.Tokens == 0 {
				continue
			}
			arrivals, tokens, single = arrivals+1, tokens+int64(chunk.Tokens), single && chunk.Tokens == 1
			if lastNs != 0 {
				ns = append(ns, chunk.MonoNs-lastNs)
			}
			lastNs = chunk.MonoNs
		}
		if len(ns) == had {
			without++
		}
	}
	q, why := quantiles(ns, "gaps")
	switch {
	case q == nil && arrivals == 0 && without > 0:
		return nil, "arrivals were not recorded, as in batch loops"
	case q == nil && len(ns) == 0 && without > 0:
		return nil, "no request had two arrivals"
	case q == nil:
		return nil, why
	}
	// The gaps of one request hang together: their order statistics bound nothing.
	q.P50BoundsNs, q.P90BoundsNs, q.P95BoundsNs, q.P99BoundsNs = nil, nil, nil, nil
	q.Without = without
	gaps = &result.ArrivalGaps{Between: result.BetweenTokens, TokensPerChunk: float64(tokens) / float64(arrivals), Gaps: *q}
	if !single {
		gaps.Between = result.BetweenChunks
	}
	return gaps, ""
}

// quantiles interpolates linearly between order statistics. Above the median they
// need so many values that the interval of their order statistics exists.
func quantiles(ns []int64, what string) (*result.Quantiles, string) {
	if len(ns) < leastLatencies {
		return nil, fmt.Sprintf("the window has %d %s, and a quantile needs %d", len(ns), what, leastLatencies)
	}
	slices.Sort(ns)
	sum := 0.0
	for _, v := range ns {
		sum += float64(v)
	}
	q := &result.Quantiles{N: len(ns), MeanNs: int64(math.Round(sum / float64(len(ns)))), P50Ns: quantile(ns, 0.5), P50BoundsNs: bounds(ns, 0.5)}
	for _, one := range []struct {
		name string
		p    float64
		at   **int64
		lie  **[2]int64
	}{{"p90", 0.90, &q.P90Ns, &q.P90BoundsNs}, {"p95", 0.95, &q.P95Ns, &q.P95BoundsNs}, {"p99", 0.99, &q.P99Ns, &q.P99BoundsNs}} {
		if need := stats.LeastForQuantile(one.p); len(ns) < need {
			if q.Absent == nil {
				q.Absent = map[string]string{}
			}
			q.Absent[one.name] = fmt.Sprintf("the window has %d %s, and %s needs %d", len(ns), what, one.name, need)
			continue
		}
		v := quantile(ns, one.p)
		*one.at, *one.lie = &v, bounds(ns, one.p)
	}
	return q, ""
}

func quantile(sorted []int64, p float64) int64 {
	position := p * float64(len(sorted)-1)
	low := int(math.Floor(position))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + int64(math.Round((position-float64(low))*float64(sorted[high]-sorted[low])))
}

func bounds(sorted []int64, p float64) *[2]int64 {
	lo, hi, ok := stats.OrderRanks(p, len(sorted))
	if !ok {
		return nil
	}
	return &[2]int64{sorted[lo-1], sorted[hi-1]}
}
