package measure

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

const ms = int64(1e6)

// answer is a request due at 1 s and sent late by queueMs, whose first token comes
// firstMs after it was due, and its last lastMs after.
func answer(queueMs, firstMs, lastMs int64, tokens uint32) sdk.Completion {
	const due = int64(1e9)
	return sdk.Completion{IntendedNs: due, SentNs: due + queueMs*ms, FirstNs: due + firstMs*ms, LastNs: due + lastMs*ms, OutputTokens: tokens, FinishReason: "length"}
}

func TestLatenciesByHand(t *testing.T) {
	failed := answer(0, 1, 1000, 9)
	failed.Error, failed.FinishReason = "500", "error"
	aborted := answer(0, 2, 3, 2)
	aborted.FinishReason = "aborted"
	asSent := answer(5, 25, 65, 5) // without an intended send it was due when sent
	asSent.IntendedNs = 0
	var w result.Window
	latencies(&w, []sdk.Completion{
		answer(10, 40, 140, 11), // 40, 30; 140, 130; 100/10
		answer(0, 30, 90, 4),    // 30, 30; 90, 90; 60/3
		answer(0, 50, 50, 1),    // 50, 50; 50, 50; one token has no TPOT
		asSent,                  // 20, 20; 60, 60; 40/4
		failed, aborted,
	})
	// Sorted, and the median between the second and the third.
	for name, c := range map[string]struct {
		got             *result.Quantiles
		n, without      int
		meanMs, p50Msx2 int64
	}{
		"TTFT":      {w.TTFT, 4, 0, 35, 70},    // 20 30 40 50
		"TTFT sent": {w.TTFTSent, 4, 0, 0, 60}, // 20 30 30 50
		"TPOT":      {w.TPOT, 3, 1, 0, 20},     // 10 10 20
		"E2E":       {w.E2E, 4, 0, 85, 150},    // 50 60 90 140
		"E2E sent":  {w.E2ESent, 4, 0, 0, 150}, // 50 60 90 130
		"queue":     {w.Queue, 4, 0, 0, 0},     // 0 0 0 10
	} {
		q := c.got
		if q == nil {
			t.Errorf("%s is absent: %v", name, w.LatenciesAbsent)
			continue
		}
		if q.N != c.n || q.Without != c.without || 2*q.P50Ns != c.p50Msx2*ms || c.meanMs != 0 && q.MeanNs != c.meanMs*ms {
			t.Errorf("%s: %+v", name, *q)
		}
		if q.P90Ns != nil || q.P99Ns != nil || q.P50BoundsNs != nil {
			t.Errorf("%s of %d requests has tails or bounds: %+v", name, q.N, *q)
		}
		if len(q.Absent) != 3 || !strings.Contains(q.Absent["p99"], "and p99 needs 368") {
			t.Errorf("%s: absent are %v", name, q.Absent)
		}
	}
	if diff := cmp.Diff(map[string]string{"arrival_gaps": "arrivals were not recorded, as in batch loops"}, w.LatenciesAbsent); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
}

// In passes of batches the wait for the batches before is queue time, and no part of
// TTFT, E2E and goodput.
func TestLatenciesOfBatchesRunFromTheirSubmission(t *testing.T) {
	done := []sdk.Completion{answer(0, 30, 100, 8), answer(0, 30, 100, 8), answer(100, 130, 200, 8), answer(100, 130, 200, 8)}
	w := result.Window{ToNs: 1e9, Passes: 1, Requests: 4}
	latencies(&w, done)
	for name, c := range map[string]struct {
		got    *result.Quantiles
		meanMs int64
	}{"TTFT": {w.TTFT, 30}, "TTFT sent": {w.TTFTSent, 30}, "E2E": {w.E2E, 100}, "E2E sent": {w.E2ESent, 100}, "queue": {w.Queue, 50}} {
		if c.got == nil || c.got.MeanNs != c.meanMs*ms {
			t.Errorf("%s: %+v", name, c.got)
		}
	}
	if g := goodput(study.SLO{TTFTMs: 30, E2EMs: 100}, w, done); g.Met != 4 {
		t.Errorf("goodput of batches %+v", g)
	}
	w.Passes = 0
	if g := goodput(study.SLO{TTFTMs: 30, E2EMs: 100}, w, done); g.Met != 2 {
		t.Errorf("goodput of requests that wait for their client %+v", g)
	}
}

// Of the numbers 1 to n in any order, by numpy's rule and the tables of the sign test.
func TestQuantilesAndBounds(t *testing.T) {
	upTo := func(n int64) []int64 {
		var list []int64
		for i := range n {
			list = append(list, (i*7919)%n+1) // 7919 is a prime beside every n here
		}
		return list
	}
	q, _ := quantiles(upTo(20), "requests")
	if q.P50Ns != 11 || *q.P50BoundsNs != [2]int64{6, 15} || q.P90Ns != nil { // 10.5, rounded up
		t.Errorf("of 20: %+v", *q)
	}
	q, _ = quantiles(upTo(101), "requests") // position p * 100 from 0
	if q.P50Ns != 51 || *q.P90Ns != 91 || *q.P95Ns != 96 || q.P99Ns != nil || q.Absent["p99"] != "the window has 101 requests, and p99 needs 368" || len(q.Absent) != 1 {
		t.Errorf("of 101: %+v", *q)
	}
	q, _ = quantiles(upTo(401), "requests")
	if *q.P99Ns != 397 || q.P99BoundsNs[0] >= 397 || q.P99BoundsNs[1] <= 397 || q.P99BoundsNs[1] > 401 || q.Absent != nil {
		t.Errorf("of 401: %+v, %v", *q, *q.P99BoundsNs)
	}
	if q, why := quantiles([]int64{5}, "requests"); q != nil || why != "the window has 1 requests, and a quantile needs 2" {
		t.Errorf("of one: %+v, %s", q, why)
	}
}

func TestLatenciesWithoutStamps(t *testing.T) {
	silent := answer(0, 0, 80, 8) // a server that does not stream
	silent.FirstNs = 0
	whole := answer(0, 80, 80, 8) // or whose answer comes at once
	var w result.Window
	latencies(&w, []sdk.Completion{silent, silent})
	if w.TTFT != nil || w.TPOT != nil || w.E2E == nil || w.LatenciesAbsent["ttft"] != noFirstToken || w.LatenciesAbsent["ttft_sent"] != noFirstToken || w.LatenciesAbsent["tpot"] != noSecondToken {
		t.Errorf("without first tokens: %+v", w)
	}
	w = result.Window{}
	latencies(&w, []sdk.Completion{whole, whole})
	if w.TTFT == nil || w.TPOT != nil {
		t.Errorf("answers that come at once: TTFT %+v, TPOT %+v", w.TTFT, w.TPOT)
	}
	w = result.Window{}
	latencies(&w, []sdk.Completion{silent, whole, answer(0, 40, 80, 8)})
	if w.TTFT.N != 2 || w.TTFT.Without != 1 || w.TPOT != nil || w.LatenciesAbsent["tpot"] != "the window has 1 requests, and a quantile needs 2" {
		t.Errorf("with one of each: %+v, %v", w.TTFT, w.LatenciesAbsent)
	}
	w = result.Window{}
	latencies(&w, nil)
	if w.TTFT != nil || w.LatenciesAbsent["e2e"] != "the window has 0 requests, and a quantile needs 2" {
		t.Errorf("of nothing: %+v", w)
	}
}

func TestArrivalGaps(t *testing.T) {
	chunked := func(tokens ...uint32) sdk.Completion {
		c := sdk.Completion{SentNs: 1, FinishReason: "length"}
		for i, n := range tokens {
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: 1 + int64(i*i)*ms, Tokens: n}) // gaps of 1, 3, 5 ms
		}
		return c
	}
	failed := chunked(1, 9, 9)
	failed.Error = "cut"
	// The last, empty arrival is none; it ends no gap.
	g, _ := arrivalGaps([]sdk.Completion{chunked(1, 1, 1, 0), chunked(1, 1), chunked(1), failed})
	if g == nil || g.Between != result.BetweenTokens || g.TokensPerChunk != 1 || g.Gaps.N != 3 || g.Gaps.Without != 1 || g.Gaps.P50Ns != ms || 3*g.Gaps.MeanNs/ms != 4 && g.Gaps.MeanNs != 1666667 || g.Gaps.P50BoundsNs != nil {
		t.Errorf("single tokens: %+v", g)
	}
	// One arrival of several tokens, and the gaps are between chunks.
	g, _ = arrivalGaps([]sdk.Completion{chunked(1, 1, 1), chunked(1, 4)})
	if g == nil || g.Between != result.BetweenChunks || g.TokensPerChunk != 8.0/5 || g.Gaps.N != 3 {
		t.Errorf("several tokens: %+v", g)
	}
	if g, why := arrivalGaps([]sdk.Completion{chunked(1), chunked(3)}); g != nil || why != "no request had two arrivals" {
		t.Errorf("one arrival each: %+v, %s", g, why)
	}
	if g, why := arrivalGaps([]sdk.Completion{chunked(1, 1)}); g != nil || why != "the window has 1 gaps, and a quantile needs 2" {
		t.Errorf("one gap: %+v, %s", g, why)
	}
}

func TestGoodputByHand(t *testing.T) {
	failed := answer(0, 1, 2, 2)
	failed.Error = "500"
	aborted := answer(0, 1, 2, 2)
	aborted.FinishReason = "aborted"
	silent := answer(0, 0, 90, 10)
	silent.FirstNs = 0
	late := answer(60, 100, 190, 10) // 40 ms after it was sent, 100 after it was due
	done := []sdk.Completion{
		answer(0, 50, 140, 10),  // TTFT 50, TPOT 10, E2E 140: at two limits, which meets
		answer(0, 51, 141, 10),  // TTFT too long
		answer(0, 40, 139, 10),  // TPOT 11
		answer(0, 40, 40, 1),    // one token: nothing between
		answer(0, 20, 2000, 10), // E2E and TPOT
		late, failed, aborted, silent,
	}
	joules := 400.0
	w := result.Window{FromNs: 0, ToNs: 4e9, Requests: 9, EnergyJ: &joules}
	for name, c := range map[string]struct {
		slo          study.SLO
		met, unknown int64
	}{
		"TTFT":  {study.SLO{TTFTMs: 50}, 4, 1},                                 // 1 3 4 5
		"TPOT":  {study.SLO{TPOTMs: 10}, 4, 1},                                 // 1 2 4 late
		"E2E":   {study.SLO{E2EMs: 140}, 4, 0},                                 // 1 3 4 silent
		"all":   {study.SLO{TTFTMs: 50, TPOTMs: 10, E2EMs: 140}, 2, 1},         // 1 4
		"lax":   {study.SLO{TTFTMs: 1e4, TPOTMs: 1e4, E2EMs: 1e4}, 6, 1},       // all that ended and have stamps
		"tight": {study.SLO{TTFTMs: 0.001, TPOTMs: 0.001, E2EMs: 0.001}, 0, 1}, // none
	} {
		g := goodput(c.slo, w, done)
		if g.Absent != "" || g.Requests != 9 || g.Met != c.met || g.Unknown != c.unknown {
			t.Errorf("%s: %+v", name, *g)
			continue
		}
		if *g.RequestsPerS != float64(c.met)/4 || *g.Share != float64(c.met)/9 || *g.RequestsPerJ != float64(c.met)/400 {
			t.Errorf("%s: %v requests/s, share %v, %v requests/J", name, *g.RequestsPerS, *g.Share, *g.RequestsPerJ)
		}
	}
	if g := goodput(study.SLO{}, w, done); g != nil {
		t.Errorf("without limits: %+v", *g)
	}
	w.EnergyJ = nil
	if g := goodput(study.SLO{E2EMs: 140}, w, done); g.RequestsPerJ != nil || *g.RequestsPerS != 1 || g.Absent != "" {
		t.Errorf("without energy: %+v", *g)
	}
	hardly := 5e-324
	w.EnergyJ = &hardly
	if g := goodput(study.SLO{E2EMs: 140}, w, done); g.RequestsPerJ != nil {
		t.Errorf("by hardly any energy: %v requests/J", *g.RequestsPerJ)
	}
	// Idle time that was put between passes is not the deployment's.
	w.GapsNs = 2e9
	if g := goodput(study.SLO{E2EMs: 140}, w, done); *g.RequestsPerS != 2 {
		t.Errorf("with gaps: %v requests/s", *g.RequestsPerS)
	}
}

// A trial of the real protocol: the simulator's tokens come every 5 ms, so that a
// request of ten takes 45 ms after its first one.
func TestATrialHasGoodput(t *testing.T) {
	r := newRig(t, "").ranked().each(func(c *study.Cell) {
		c.Load = study.LoadSpec{Mode: "closed", Concurrency: 8}
		c.Workload.OutputTokens = 10
	})
	r.study.SLO = study.SLO{TPOTMs: 1000, E2EMs: 100_000}
	w := r.one().Windows[0]
	g := w.Goodput
	if g == nil || g.Met != w.Requests || g.Requests != w.Requests || *g.Share != 1 || g.TTFTMs != nil || *g.TPOTMs != 1000 {
		t.Fatalf("goodput %+v of %d requests", g, w.Requests)
	}
	near(t, "requests/s", *g.RequestsPerS, 160, 1e-9)
	near(t, "requests/J", *g.RequestsPerJ, 1.6, 1e-6)
	if w.Queue == nil || w.Queue.P50Ns != 0 || *w.TTFT.P50BoundsNs != *w.TTFTSent.P50BoundsNs {
		t.Errorf("queue %+v, TTFT %+v and %+v", w.Queue, w.TTFT, w.TTFTSent)
	}
	if a := w.ArrivalGaps; a == nil || a.Between != result.BetweenTokens || a.Gaps.N != 9*int(w.Requests) || a.Gaps.P50Ns != 5*ms {
		t.Errorf("gaps %+v", w.ArrivalGaps)
	}
}

func TestGoodputThatNobodyCanTell(t *testing.T) {
	silent := answer(0, 0, 90, 10)
	silent.FirstNs = 0
	failed := answer(0, 1, 2, 2)
	failed.Error = "500"
	joules := 1.0
	w := result.Window{ToNs: 1e9, Requests: 2, EnergyJ: &joules}
	for _, c := range []struct {
		slo  study.SLO
		done []sdk.Completion
		want string
	}{
		{study.SLO{TTFTMs: 1e6}, []sdk.Completion{silent, silent}, "slo.ttft_ms: " + noFirstToken},
		{study.SLO{TTFTMs: 1e6, E2EMs: 1e6}, []sdk.Completion{silent, failed}, "slo.ttft_ms: " + noFirstToken},
		{study.SLO{TPOTMs: 1e6}, []sdk.Completion{answer(0, 9, 9, 1), answer(0, 9, 9, 1)}, "slo.tpot_ms: " + noSecondToken},
		{study.SLO{TPOTMs: 1e6}, []sdk.Completion{answer(0, 9, 9, 8), answer(0, 9, 9, 8)}, "slo.tpot_ms: " + noSecondToken},
	} {
		g := goodput(c.slo, w, c.done)
		if g.Absent != c.want || g.RequestsPerS != nil || g.Share != nil || g.RequestsPerJ != nil || g.Met != 0 {
			t.Errorf("%+v: %+v, want %q", c.slo, *g, c.want)
		}
	}
	// That all failed is known: none met.
	if g := goodput(study.SLO{TTFTMs: 1}, w, []sdk.Completion{failed, failed}); g.Absent != "" || *g.RequestsPerS != 0 || *g.Share != 0 || *g.RequestsPerJ != 0 {
		t.Errorf("all failed: %+v", *g)
	}
	if g := goodput(study.SLO{TTFTMs: 1}, result.Window{ToNs: 1e9}, nil); g.Absent != "no request in the window" || g.Share != nil {
		t.Errorf("nothing: %+v", *g)
	}
}
