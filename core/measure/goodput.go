package measure

import (
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// verdict on one request and one limit.
type verdict int

const (
	exceeds verdict = iota
	meets
	unknown       // no stamp to judge by: never taken for met
	notApplicable // a limit on the time between tokens, of a single one
)

// sloLimit is one limit of the study.
type sloLimit struct {
	key     string
	limitMs float64
	missing string // why nobody can say, if nothing has the stamps
	of      func(c sdk.Completion, limitNs float64) verdict
}

func sloLimits(slo study.SLO, start func(sdk.Completion) int64) []sloLimit {
	var set []sloLimit
	for _, l := range []sloLimit{
		{"slo.ttft_ms", slo.TTFTMs, noFirstToken, func(c sdk.Completion, limitNs float64) verdict {
			return within(hasFirst(c), float64(c.FirstNs-start(c)), limitNs)
		}},
		{"slo.tpot_ms", slo.TPOTMs, noSecondToken, func(c sdk.Completion, limitNs float64) verdict {
			if c.OutputTokens == 1 {
				return notApplicable
			}
			between, gaps, known := outputTime(c)
			return within(known, float64(between), limitNs*float64(gaps))
		}},
		{"slo.e2e_ms", slo.E2EMs, noLastToken, func(c sdk.Completion, limitNs float64) verdict {
			return within(hasLast(c), float64(c.LastNs-start(c)), limitNs)
		}},
	} {
		if l.limitMs > 0 {
			set = append(set, l)
		}
	}
	return set
}

func within(known bool, ns, limitNs float64) verdict {
	switch {
	case !known:
		return unknown
	case ns <= limitNs:
		return meets
	}
	return exceeds
}

// goodput counts the requests of a window that met every limit, from the send
// that their latencies run from. Requests that failed or were broken off never do, nor
// do those of which it is not known. Where no request could have been judged by a limit, there is no goodput:
// 0 would say that the deployment is too slow.
func goodput(slo study.SLO, w result.Window, done []sdk.Completion) *result.Goodput {
	limits := sloLimits(slo, startOf(w))
	if len(limits) == 0 {
		return nil
	}
	g := &result.Goodput{TTFTMs: limitOf(slo.TTFTMs), TPOTMs: limitOf(slo.TPOTMs), E2EMs: limitOf(slo.E2EMs), Requests: w.Requests}
	judged := make([]int, len(limits)) // requests that the limit could tell something of
	ended := 0
	for _, c := range done {
		if !finished(c) {
			continue
		}
		ended++
		met, known := true, true
		for i, l := range limits {
			v := l.of(c, l.limitMs*1e6)
			met = met && (v == meets || v == notApplicable)
			known = known && v != unknown
			if v == meets || v == exceeds {
				judged[i]++
			}
		}
		switch {
		case !known:
			g.Unknown++
		case met:
			g.Met++
		}
	}
	for i, l := range limits {
		if ended > 0 && judged[i] == 0 {
			g.Met, g.Unknown = 0, int64(ended)
			g.Absent = fmt.Sprintf("%s: %s", l.key, l.missing)
			return g
		}
	}
	seconds := float64(w.DurationNs()) / 1e9
	if w.Requests == 0 || seconds <= 0 {
		g.Absent = "no request in the window"
		return g
	}
	g.RequestsPerS, g.Share = quotient(g.Met, seconds), quotient(g.Met, float64(w.Requests))
	if w.EnergyJ != nil && *w.EnergyJ > 0 {
		g.RequestsPerJ = quotient(g.Met, *w.EnergyJ)
	}
	return g
}

// quotient is nil where it is beyond a float64, as by hardly any joules.
func quotient(count int64, by float64) *float64 {
	v := float64(count) / by
	if math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func limitOf(ms float64) *float64 {
	if ms == 0 {
		return nil
	}
	return &ms
}
