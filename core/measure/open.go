package measure

import (
	"cmp"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// The windows of an open loop are cut like those of a closed one, from a
// completion to a completion, with edges that move to where the work between them
// matches best and few requests are in flight. A cut by time holds requests that began before it and others that
// end after it, and of a random load not the same number of them. A cut from the
// first arrival to the end of the drain holds whole requests only, but its ends
// run below the load that was asked for, and the conditioning has no place in it.

// How many completions an edge of an open loop's window may move: an eighth of
// those that the window will hold.
const (
	edgeShare    = 8
	mostEdgeStep = 32
)

// edgeStep is for an open loop what the requests in flight are for a closed one.
func edgeStep(c study.Cell) int {
	return max(1, min(mostEdgeStep, int(c.Load.Rate*c.Protocol.WindowS/edgeShare)))
}

// step is how many completions lie between two possible edges, before these move.
func step(c study.Cell) int {
	if isOpen(c) {
		return edgeStep(c)
	}
	return max(1, c.Load.Concurrency)
}

// edgeRounds is how many steps of completions must be waited for besides the
// windows' time, so that all edges exist. Completions of an open loop come when
// they come: four standard deviations are waited for, too.
func edgeRounds(c study.Cell, windows int) float64 {
	rounds := float64(1 + 2*windows)
	if isOpen(c) {
		rounds += 4 * irregularity(c) * math.Sqrt(rounds/float64(edgeStep(c)))
	}
	return rounds
}

// cutArrivals cuts an open loop as cutCompletions does a closed one.
func cutArrivals(completions []sdk.Completion, step int, settledNs, windowNs int64, count int) []cut {
	return cutAt(completions, step, settledNs, windowNs, count, quietEdges)
}

// astrideRel is what a request that is in flight at an edge counts as, in requests
// of mismatched work. Its tokens may match and its joules not: a token costs more
// the fewer requests share the step.
const astrideRel = 0.1

// quietEdges moves the edges of a window to where the work between them matches and
// few requests lie astride of them; where none does the window holds whole requests
// only.
func quietEdges(counted []tally, from, to, most, step int, windowNs int64) (int, int) {
	// In requests, and not by all of the window's: among windows of one length that
	// would prefer those in which more arrived.
	return bestEdges(counted, from, to, most, step, windowNs, 0, func(i, j int) float64 {
		a, b := counted[i], counted[j]
		return a.between(b)*float64(j-i) + astrideRel*math.Sqrt(float64(a.inFlight+b.inFlight))
	})
}

// irregularity is the standard deviation of a gap between arrivals by its mean, at
// least 1.
func irregularity(c study.Cell) float64 {
	if c.Load.Mode != "gamma" {
		return 1
	}
	return 1 / math.Sqrt(min(1, c.Load.Burstiness))
}

// leastLagged is how many arrivals tell whether requests wait ever longer.
const leastLagged = 6

// arrivals counts what arrived between two stamps, and looks whether the time from
// the arrival to the end grows from the first to the last third of it. Where an
// engine can not keep up every request waits longer than the one before it,
// whether in a queue or in a batch that grows. Where requests that arrived were
// broken off, those that ended between the stamps are looked at: the others tell
// only how long they waited at least.
func arrivals(completions []sdk.Completion, fromNs, toNs int64) *result.Arrivals {
	var inside, ended []sdk.Completion
	arrived, brokenOff := int64(0), false
	for _, c := range completions {
		if finished(c) && endOf(c) >= fromNs && endOf(c) < toNs {
			ended = append(ended, c)
		}
		if c.IntendedNs < fromNs || c.IntendedNs >= toNs {
			continue
		}
		arrived++
		if finished(c) {
			inside = append(inside, c)
		} else {
			brokenOff = brokenOff || !c.Failed()
		}
	}
	if brokenOff {
		inside = ended
	}
	a := &result.Arrivals{Requests: arrived, RatePerS: float64(arrived) / (float64(toNs-fromNs) / 1e9)}
	if len(inside) < leastLagged {
		return a
	}
	slices.SortFunc(inside, func(x, y sdk.Completion) int { return cmp.Compare(x.IntendedNs, y.IntendedNs) })
	third := len(inside) / 3
	beforeS, beforeSE, beforeAtS := lag(inside[:third], fromNs)
	afterS, afterSE, afterAtS := lag(inside[len(inside)-third:], fromNs)
	if between := afterAtS - beforeAtS; between > 0 {
		growth, uncertain := (afterS-beforeS)/between, math.Hypot(beforeSE, afterSE)/between
		a.LagGrowth, a.LagGrowthError = &growth, &uncertain
	}
	return a
}

// lag is the mean time from arrival to end with its standard error, and when the
// requests arrived on average, in s.
func lag(list []sdk.Completion, fromNs int64) (meanS, seS, atS float64) {
	var took []float64
	for _, c := range list {
		took = append(took, float64(endOf(c)-c.IntendedNs)/1e9)
		atS += float64(c.IntendedNs-fromNs) / 1e9 / float64(len(list))
	}
	meanS, seS = meanError(took)
	return meanS, seS, atS
}

// flow divides the heartbeats since fromNs into three parts and gives the mean
// number of requests in flight of each, and one more, which keeps an engine that
// idles most of the time from being judged by chance; nil if there are too few.
// countingRel is two standard deviations of such a mean: arrivals are counted, and
// their number in flight is looked at now and then.
func flow(beats []sdk.Heartbeat, fromNs int64) (inFlight []float64, countingRel float64) {
	first := slices.IndexFunc(beats, func(b sdk.Heartbeat) bool { return b.MonoNs >= fromNs })
	if first < 0 || (len(beats)-1-first)/settlePasses == 0 {
		return nil, 0
	}
	each := (len(beats) - 1 - first) / settlePasses
	for part := settlePasses; part > 0; part-- {
		from := len(beats) - 1 - part*each
		sum := 0.0
		for _, b := range beats[from+1 : from+1+each] {
			sum += float64(b.InFlight)
		}
		mean := sum / float64(each)
		sent := beats[from+each].Sent - beats[from].Sent
		inFlight = append(inFlight, 1+mean)
		spread := mean * math.Sqrt(1/math.Max(1, float64(sent))+1/math.Max(1, sum))
		countingRel = max(countingRel, 2*spread/(1+mean))
	}
	return inFlight, countingRel
}
