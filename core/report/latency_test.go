package report

import (
	"errors"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// served gives a trial's windows all latencies of an open loop around firstMs, with n
// requests each, of which met are within limits.
func served(t result.Trial, firstMs int64, n int, met int64) result.Trial {
	for i := range t.Windows {
		w := &t.Windows[i]
		w.TTFT, w.TTFTSent, w.Queue = spreadAround(firstMs, n), spreadAround(firstMs-2, n), spreadAround(2, n)
		w.E2E, w.E2ESent, w.TPOT = spreadAround(20*firstMs, n), spreadAround(20*firstMs-2, n), spreadAround(5, n)
		w.ArrivalGaps = &result.ArrivalGaps{Between: result.BetweenTokens, TokensPerChunk: 1, Gaps: *spreadAround(5, 100*n)}
		for _, bounds := range []**[2]int64{&w.ArrivalGaps.Gaps.P50BoundsNs, &w.ArrivalGaps.Gaps.P90BoundsNs, &w.ArrivalGaps.Gaps.P95BoundsNs, &w.ArrivalGaps.Gaps.P99BoundsNs} {
			*bounds = nil
		}
		w.Requests = int64(n)
		seconds := float64(w.DurationNs()) / 1e9
		w.Goodput = &result.Goodput{
			TTFTMs: ptr(200.0), TPOTMs: ptr(50.0), Requests: int64(n), Met: met,
			RequestsPerS: ptr(float64(met) / seconds), Share: ptr(float64(met) / float64(n)), RequestsPerJ: ptr(float64(met) / *w.EnergyJ),
		}
	}
	return t
}

// spreadAround has the p50 given, p90 twice that and so on, as far as n supports it.
func spreadAround(ms int64, n int) *result.Quantiles {
	q := &result.Quantiles{N: n, MeanNs: ms * 1e6, P50Ns: ms * 1e6, P50BoundsNs: &[2]int64{ms*1e6 - 5e5, ms*1e6 + 5e5}, Absent: map[string]string{}}
	for i, one := range []struct {
		name   string
		p      float64
		at     **int64
		bounds **[2]int64
	}{{"p90", 0.90, &q.P90Ns, &q.P90BoundsNs}, {"p95", 0.95, &q.P95Ns, &q.P95BoundsNs}, {"p99", 0.99, &q.P99Ns, &q.P99BoundsNs}} {
		if n < stats.LeastForQuantile(one.p) {
			q.Absent[one.name] = "the window has too few requests for " + one.name
			continue
		}
		v := ms * 1e6 * int64(i+2)
		*one.at, *one.bounds = &v, &[2]int64{v - 1e6, v + 2e6}
	}
	return q
}

// serving is a study of an open loop with limits: three loads of two cells.
func serving() []result.Trial {
	var out []result.Trial
	for block, d := range []float64{0.002, -0.001, 0.003} {
		out = append(out, served(aTrial("f16", block, 0.55+d), 40+int64(block), 400, 300+int64(block)), served(aTrial("q8_0", block, 0.35+d), 30+int64(block), 100, 90))
	}
	return out
}

// Each scene's table with every latency, as `llem report --latencies` prints it.
func TestLatencyTableGolden(t *testing.T) {
	silent := func() []result.Trial {
		list := serving()
		for i := range list {
			if list[i].Cell.ID == "q8_0" {
				w := &list[i].Windows[0]
				w.TTFT, w.TTFTSent = nil, nil
				w.LatenciesAbsent = map[string]string{"ttft": "the backend gives no stamp of a request's first token", "ttft_sent": "the same"}
				w.ArrivalGaps.Between, w.ArrivalGaps.TokensPerChunk = result.BetweenChunks, 2.5
				w.Goodput = &result.Goodput{TTFTMs: ptr(200.0), TPOTMs: ptr(50.0), Requests: 100, Unknown: 100, Absent: "slo.ttft_ms: the backend gives no stamp of a request's first token"}
			}
		}
		return list
	}
	for name, trials := range map[string][]result.Trial{
		"serving":        serving(),
		"serving_single": {served(aTrial("f16", 0, 0.55), 40, 400, 300)},
		"serving_silent": silent(),
	} {
		s := Summarize(trials, nil, Options{})
		var usual, table, js, csv strings.Builder
		if err := errors.Join(Table(&usual, s, TableOptions{}), Table(&table, s, TableOptions{Latencies: true}), JSON(&js, s), CSV(&csv, s)); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".latencies.txt", table.String())
		golden(t, name+".json", js.String())
		golden(t, name+".csv", csv.String())
		for line := range strings.Lines(usual.String()) {
			if len(line) > 101 && !strings.HasPrefix(line, "warning") {
				t.Errorf("%s: the usual table has a line of %d columns: %s", name, len(line)-1, line)
			}
		}
		if strings.Contains(usual.String(), "E2E") {
			t.Errorf("%s: latencies that nobody asked for:\n%s", name, usual.String())
		}
	}
}

// The t interval of a quantile is over loads: of 41, 40 and 42 ms it is 41 plus and
// minus 4.303 * 1 / sqrt(3); at 400 requests p99 is four times that.
func TestQuantilesOverLoads(t *testing.T) {
	c := Summarize(serving(), nil, Options{}).Cells[1]
	if c.ID != "f16" {
		t.Fatal(c.ID)
	}
	half := 4.302652729749464 / 1.7320508075688772
	for metric, centre := range map[string]float64{"ttft_p50": 41, "ttft_p90": 82, "ttft_p99": 164, "ttft_sent_p50": 39, "e2e_p50": 820} {
		e := estimate(t, c, metric)
		near(t, metric, e.Centre, centre)
		near(t, metric+", upper", *e.Hi, centre+half*centreStep(metric))
		if e.Method != stats.MethodT || e.N != 3 || e.Unit != "ms" || e.Direction != stats.Lower || e.Boundary != "" {
			t.Errorf("%s: %+v", metric, e)
		}
	}
	e := estimate(t, c, MetricGoodput) // 300, 301, 302 in 10 s
	near(t, "goodput", e.Centre, 30.1)
	near(t, "goodput, upper", *e.Hi, 30.1+half*0.1)
	near(t, "share", estimate(t, c, MetricGoodputShare).Centre, 301.0/400)
	if j := estimate(t, c, MetricGoodputPerJoule); j.Boundary != c.Boundary || j.SystematicRel == nil || j.Direction != stats.Higher {
		t.Errorf("per joule: %+v", j)
	}
	if c.SLO == nil || c.SLO.text() != "TTFT <= 200 ms, TPOT <= 50 ms" {
		t.Errorf("limits: %+v", c.SLO)
	}
	// 100 requests do not carry a p99.
	few := Summarize(serving(), nil, Options{}).Cells[0]
	if _, ok := few.Estimate("ttft_p99"); ok || few.Absent["ttft_p99"] != "the window has too few requests for p99 (block 1)" {
		t.Errorf("absent: %v", few.Absent)
	}
	// Nor do they in a record of an older llem, which has one all the same.
	old := aTrial("old", 0, 0.5)
	old.Windows[0].TTFT = &result.Quantiles{N: 100, P50Ns: 1, P90Ns: ptr(int64(2e6)), P99Ns: ptr(int64(3e6))}
	c = Summarize([]result.Trial{old}, nil, Options{}).Cells[0]
	if _, ok := c.Estimate("ttft_p99"); ok || c.Absent["ttft_p99"] != "the window has 100 values, and p99 needs 368 (block 1)" {
		t.Errorf("absent of an older record: %v", c.Absent)
	}
	near(t, "p90 of an older record", estimate(t, c, "ttft_p90").Centre, 2)
}

// centreStep is by how much the metric grows from load to load.
func centreStep(metric string) float64 {
	return map[string]float64{"ttft_p50": 1, "ttft_p90": 2, "ttft_p99": 4, "ttft_sent_p50": 1, "e2e_p50": 20}[metric]
}

// One load has the interval of its requests, marked; two windows of it have none.
func TestOneLoadHasOrderStatistics(t *testing.T) {
	s := Summarize([]result.Trial{served(aTrial("a", 0, 0.5), 40, 400, 300)}, nil, Options{})
	e := estimate(t, s.Cells[0], "ttft_p90")
	if e.Method != stats.MethodOrder || *e.Lo != 79 || *e.Hi != 82 || e.N != 1 || !e.Has(stats.CodeSingleCycle) {
		t.Errorf("one window: %+v", e)
	}
	near(t, "half width", *e.RandomRel, 1.5/80)
	if g := estimate(t, s.Cells[0], "itl_p50"); g.Method != stats.MethodNone || g.HasInterval() {
		t.Errorf("gaps: %+v", g)
	}
	if g := estimate(t, s.Cells[0], MetricGoodput); g.HasInterval() {
		t.Errorf("goodput: %+v", g)
	}
	s = Summarize([]result.Trial{served(aTrial("a", 0, 0.5, 0.51), 40, 400, 300)}, nil, Options{})
	if e := estimate(t, s.Cells[0], "ttft_p90"); e.HasInterval() || e.Method != stats.MethodNone {
		t.Errorf("two windows: %+v", e)
	}
}

// Loads under different limits have no goodput together.
func TestGoodputUnderDifferentLimits(t *testing.T) {
	list := []result.Trial{served(aTrial("a", 0, 0.5), 40, 400, 300), served(aTrial("a", 1, 0.5), 40, 400, 300), served(aTrial("b", 0, 0.6), 40, 400, 300)}
	list[1].Windows[0].Goodput.TTFTMs = ptr(100.0)
	list[2].Windows[0].Goodput.RequestsPerJ = nil
	s := Summarize(list, nil, Options{})
	for _, metric := range []string{MetricGoodput, MetricGoodputShare, MetricGoodputPerJoule} {
		if why := s.Cells[0].Absent[metric]; !strings.Contains(why, "different limits under [slo]") {
			t.Errorf("%s: %q", metric, why)
		}
	}
	if _, ok := s.Cells[1].Estimate(MetricGoodput); !ok || s.Cells[1].Absent[MetricGoodputPerJoule] != "no energy in a window (block 1)" {
		t.Errorf("without energy: %v", s.Cells[1].Absent)
	}
	list[1].Windows[0].Goodput = nil // a study without limits, and then with some
	if why := Summarize(list[:2], nil, Options{}).Cells[0].Absent[MetricGoodput]; !strings.Contains(why, "different limits") {
		t.Errorf("with limits in one load: %q", why)
	}
	plain := Summarize(quickstart(), nil, Options{}).Cells[0]
	if _, has := plain.Absent[MetricGoodput]; has || plain.SLO != nil {
		t.Error("a study without limits speaks of goodput")
	}
}
