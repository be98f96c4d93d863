package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// latency is one of the times of a request, with its quantiles as metrics NAME_p50 to
// NAME_p99.
type latency struct {
	name, title string
	// key is its name among the reasons of a window.
	key string
	of  func(result.Window) *result.Quantiles
	// missing is why an older record, which gives no reason, has none.
	missing string
	// actual says that it differs from its twin only if requests were sent late.
	actual bool
}

// latencyList holds the reported ones first. Those of batches run from when the
// request's batch was submitted, others from the intended send.
func latencyList() []latency {
	return []latency{
		{name: "ttft", key: "ttft", title: "TTFT, from the intended send (batches: their submission)", missing: "the requests carry no stamp of their first token", of: func(w result.Window) *result.Quantiles { return submitted(w, w.TTFT, w.TTFTSent) }},
		{name: "tpot", key: "tpot", title: "TPOT", missing: "the requests carry no stamps of several tokens", of: func(w result.Window) *result.Quantiles { return w.TPOT }},
		{name: "itl", key: "arrival_gaps", title: "ITL, between tokens", of: gapsBetween(result.BetweenTokens)},
		{name: "chunk_gap", key: "arrival_gaps", title: "gaps between chunks of several tokens (no ITL)", of: gapsBetween("")},
		{name: "e2e", key: "e2e", title: "E2E, from the intended send (batches: their submission)", of: func(w result.Window) *result.Quantiles { return submitted(w, w.E2E, w.E2ESent) }},
		{name: "queue", key: "queue", title: "queue time: actual - intended send (batches: since the pass began)", actual: true, of: func(w result.Window) *result.Quantiles { return w.Queue }},
		{name: "ttft_sent", key: "ttft_sent", title: "TTFT, from the actual send", actual: true, of: func(w result.Window) *result.Quantiles { return w.TTFTSent }},
		{name: "e2e_sent", key: "e2e_sent", title: "E2E, from the actual send", actual: true, of: func(w result.Window) *result.Quantiles { return w.E2ESent }},
	}
}

// submitted is the latency that is reported. Of windows of batches a record of an
// older llem has it from the begin of the pass, which is mostly the wait for the
// batches before; what it has from the actual send is the same as in newer records.
func submitted(w result.Window, reported, sent *result.Quantiles) *result.Quantiles {
	if w.Passes > 0 && sent != nil {
		return sent
	}
	return reported
}

// gapsBetween takes the gaps of a kind, or of any: those between tokens are between
// chunks, too, of one token each.
func gapsBetween(kind result.Between) func(result.Window) *result.Quantiles {
	return func(w result.Window) *result.Quantiles {
		if w.ArrivalGaps == nil || kind != "" && w.ArrivalGaps.Between != kind {
			return nil
		}
		return &w.ArrivalGaps.Gaps
	}
}

// level is one quantile of a latency.
type level struct {
	name   string
	p      float64
	at     func(result.Quantiles) *int64
	bounds func(result.Quantiles) *[2]int64
}

func levels() []level {
	return []level{
		{"p50", 0.50, func(q result.Quantiles) *int64 { return &q.P50Ns }, func(q result.Quantiles) *[2]int64 { return q.P50BoundsNs }},
		{"p90", 0.90, func(q result.Quantiles) *int64 { return q.P90Ns }, func(q result.Quantiles) *[2]int64 { return q.P90BoundsNs }},
		{"p95", 0.95, func(q result.Quantiles) *int64 { return q.P95Ns }, func(q result.Quantiles) *[2]int64 { return q.P95BoundsNs }},
		{"p99", 0.99, func(q result.Quantiles) *int64 { return q.P99Ns }, func(q result.Quantiles) *[2]int64 { return q.P99BoundsNs }},
	}
}

// value of a window in ms. A record of an older llem may hold a quantile that its
// requests do not support.
func (l level) value(q *result.Quantiles) *float64 {
	if q == nil {
		return nil
	}
	ns := l.at(*q)
	if ns == nil || l.p > 0.5 && q.N < stats.LeastForQuantile(l.p) {
		return nil
	}
	ms := float64(*ns) / 1e6
	return &ms
}

// latencyMetrics has gaps between chunks only where some are not between tokens.
func latencyMetrics(loads []result.Trial) []metric {
	chunks := slices.ContainsFunc(loads, func(t result.Trial) bool {
		return slices.ContainsFunc(t.Windows, func(w result.Window) bool {
			return w.ArrivalGaps != nil && w.ArrivalGaps.Between != result.BetweenTokens
		})
	})
	var list []metric
	for _, x := range latencyList() {
		if x.name == "chunk_gap" && !chunks {
			continue
		}
		for _, l := range levels() {
			list = append(list, metric{
				name: x.name + "_" + l.name, unit: "ms",
				value: func(w result.Window) *float64 { return l.value(x.of(w)) },
				why:   func(w result.Window) string { return x.absent(w, l) },
				within: func(w result.Window) *stats.Interval {
					q := x.of(w)
					if q == nil || l.bounds(*q) == nil {
						return nil
					}
					b := l.bounds(*q)
					return &stats.Interval{Lo: float64(b[0]) / 1e6, Hi: float64(b[1]) / 1e6}
				},
			})
		}
	}
	return list
}

// absent says why a window has no such quantile.
func (x latency) absent(w result.Window, l level) string {
	q := x.of(w)
	switch {
	case q == nil && w.LatenciesAbsent[x.key] != "":
		return w.LatenciesAbsent[x.key]
	case q == nil && x.name == "itl" && w.ArrivalGaps != nil:
		return fmt.Sprintf("arrivals held %.3g tokens each on average, so the gaps are between chunks: see chunk_gap", w.ArrivalGaps.TokensPerChunk)
	case q == nil:
		return cmp.Or(x.missing, "the trial was recorded without it")
	case q.Absent[l.name] != "":
		return q.Absent[l.name]
	}
	return fmt.Sprintf("the window has %d values, and %s needs %d", q.N, l.name, stats.LeastForQuantile(l.p))
}

// loud estimates are in the table that everybody sees. The doubts of other quantiles
// stay with their estimates: of 28 of them some look odd by chance. That all requests
// of all loads were within limits, or none, is no doubt either.
func loud(e stats.Estimate) bool {
	switch e.Metric {
	case MetricTTFT, MetricTPOT:
		return true
	case MetricGoodputShare:
		return false
	case MetricGoodput, MetricGoodputPerJoule:
		return e.Centre != 0
	}
	return !slices.ContainsFunc(latencyList(), func(x latency) bool { return strings.HasPrefix(e.Metric, x.name+"_p") })
}

// latencies prints every latency, on request: a table each, so that cells stand below
// one another.
func (p *printer) latencies() {
	if !p.o.Latencies || len(p.s.Cells) == 0 {
		return
	}
	ordered := false
	queued, late := p.queued()
	for _, x := range latencyList() {
		if x.actual && !late {
			continue
		}
		columns := []column{{head: "cell", value: p.label}}
		for i, l := range levels() {
			name := x.name + "_" + l.name
			columns = append(columns, column{head: l.name + " ms [95 %]", rank: 1 + i, value: func(c Cell) string {
				e, ok := c.Estimate(name)
				if ok && e.Method == stats.MethodOrder {
					ordered = true
					return interval(e, ok) + "*"
				}
				return interval(e, ok)
			}})
		}
		if columns = filled(columns, p.s.Cells); len(columns) == 1 {
			continue
		}
		p.line("")
		p.line("%s", x.title)
		p.tabulate(columns, p.s.Cells)
	}
	p.line("")
	if ordered {
		p.within(footerWidth, "* one load: the order statistics of its requests, which are not independent; nothing of the spread between loads")
	}
	if queued && !late {
		p.within(footerWidth, "no request was sent later than intended, so times from the actual send are the same")
	}
	p.noLatencies()
}

// queued tells whether any cell's queue time is known, and any request was late.
func (p *printer) queued() (known, late bool) {
	for _, c := range p.s.Cells {
		for _, l := range levels() {
			e, ok := c.Estimate("queue_" + l.name)
			known, late = known || ok, late || ok && e.Centre != 0
		}
	}
	return known, late
}

// noLatencies says why values are not there, once for all quantiles with one reason.
func (p *printer) noLatencies() {
	for _, c := range p.s.Cells {
		for _, x := range latencyList() {
			if x.actual || x.name == "chunk_gap" || c.Trials == 0 {
				continue
			}
			var reasons []string
			without := map[string][]string{} // quantiles, by reason
			for _, l := range levels() {
				if why := c.Absent[x.name+"_"+l.name]; why != "" {
					if without[why] == nil {
						reasons = append(reasons, why)
					}
					without[why] = append(without[why], l.name)
				}
			}
			for _, why := range reasons {
				what := x.name
				if len(without[why]) < len(levels()) {
					what += " " + strings.Join(without[why], ", ")
				}
				if len(p.s.Cells) > 1 {
					what += " of " + c.Label
				}
				p.within(footerWidth, "no %s: %s", what, OneLine(why))
			}
		}
	}
}
