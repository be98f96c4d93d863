package energy

import (
	"fmt"
	"math"
)

// counter computes a window over a rising count of energy.
//
// A counter publishes a new value every update period; between two changes it
// stands still while energy flows on. So E(t) is taken linear between the change
// before an edge and the change after it, which needs one change after the end.
// Where that is missing both edges fall back to the last read before them: each
// is then stale by up to an update period, but both by the same on average, so
// the two are never mixed.
//
// A hole between the edges loses nothing, since the counter went on; an edge in a
// hole is at an unknown place of the counter's course. So only the edges take
// from the coverage, and a time in which it was seen to stand still and did not
// catch up.
func (q *query) counter() (Window, error) {
	t, s := q.t, q.t.samples
	t0, t1 := q.from+t.Domain.LagNs, q.to+t.Domain.LagNs
	i0, i1 := t.lastAt(t0), t.lastAt(t1)
	if i0 < 0 {
		return Window{}, q.fail(CodeNotCovered, fmt.Sprintf("the first counter read is at %d ns, %s after the window's begin", s[0].MonoNs, DurationText(s[0].MonoNs-t0)))
	}
	lo, hi := i0, i1
	if i1+1 < len(s) && s[i1].MonoNs < t1 {
		hi = i1 + 1
	}
	e0, e1 := t.edgeAt(i0, t0), t.edgeAt(i1, t1)
	if e0.ok && e1.ok {
		lo, hi = e0.a, max(hi, e1.b)
	}
	if err := q.checkRange(lo, hi, true); err != nil {
		return Window{}, err
	}
	w := Window{Samples: t.count(t0, t1)}
	if !e0.ok || !e1.ok {
		return q.counterDifference(w, [2]int{i0, i1}, [2]edge{e0, e1}, t0, t1)
	}
	w.Method = MethodCounterInterpolated
	counts := delta(s[e0.a].Value, s[e1.a].Value) + e1.part - e0.part
	w.EnergyJ = counts * t.Domain.unit()
	if counts <= 0 {
		return w, nil // finish refuses it
	}
	h0, h1 := t.holeAt(e0), t.holeAt(e1)
	w.RandomRel = q.edgeModel(t.locatedTo(e0, h0, counts, q), t.locatedTo(e1, h1, counts, q))
	q.doubtEdge("begin", h0)
	q.doubtEdge("end", h1)
	still := t.standstill(e0.b, e1.a)
	q.coverage(&w, min(union(h0, h1, t0, t1)+still, t1-t0))
	if still > 0 {
		q.warn(CodeSampleGap, SeverityWarning, "the counter stood still for %s (period %s) and did not catch up: what was used then is not known", DurationText(still), DurationText(t.periodNs))
		w.RandomRel = math.Hypot(w.RandomRel, float64(still)/float64(t1-t0)/math.Sqrt(3))
	}
	if !h0.wide() && !h1.wide() {
		q.lossHarmless = true
		if n := t.losses(s[e0.a].MonoNs, s[e1.b].MonoNs); n > 0 {
			q.warn(CodeSampleGap, SeverityInfo, "samples are missing between the edges (%d gaps, period %s); the counter went on there", n, DurationText(t.periodNs))
		}
	}
	return w, nil
}

// counterDifference is the fallback with its own error term, P*T/sqrt(6) for two
// edges stale by up to one period T. at are the last reads before the edges. A
// counter that stands still there is stale since its last change.
func (q *query) counterDifference(w Window, at [2]int, edges [2]edge, t0, t1 int64) (Window, error) {
	s, period := q.t.samples, q.t.periodNs
	i0, i1 := at[0], at[1]
	stale0, stale1 := hole{s[i0].MonoNs, t0}, hole{s[i1].MonoNs, t1}
	worst := max(stale0.widthNs(), stale1.widthNs())
	if worst > 3*period && !q.t.Domain.ChangesOnly {
		return Window{}, q.fail(CodeNotCovered, fmt.Sprintf("no counter read within three periods before an edge: the last is %s old", DurationText(worst)))
	}
	for k, stale := range []*hole{&stale0, &stale1} {
		if changed := s[edges[k].a].MonoNs; stale.toNs-changed > 3*period {
			stale.fromNs, worst = changed, max(worst, stale.toNs-changed)
		}
	}
	w.Method = MethodCounterDifference
	w.EnergyJ = delta(s[i0].Value, s[i1].Value) * q.t.Domain.unit()
	w.RandomRel = q.edgeModel(float64(period+stale0.widthNs()), float64(period+stale1.widthNs()))
	q.warn(CodeEdgeUnresolved, SeverityWarning, "no counter change on both sides of both edges: raw difference of the last reads, each stale by up to %s", DurationText(max(period, worst)))
	if stale0.widthNs() > 3*period {
		q.doubtEdge("begin", stale0)
	}
	if stale1.widthNs() > 3*period {
		q.doubtEdge("end", stale1)
	}
	// What the begin's read is stale by is counted too much, the end's too little.
	q.coverage(&w, min(stale0.widthNs()+stale1.widthNs(), t1-t0))
	return w, nil
}

// edge places a stamp between counter changes a and b.
type edge struct {
	ok    bool
	a, b  int
	share float64 // of the way from a to b
	whole float64 // counts from a to b
	part  float64 // counts from a to the stamp
}

// edgeAt finds the changes around ns; i is the last sample at or before it.
func (t *Trace) edgeAt(i int, ns int64) edge {
	s := t.samples
	a := i
	for a > 0 && s[a-1].Value == s[a].Value && s[a-1].Epoch == s[a].Epoch {
		a--
	}
	if s[a].MonoNs == ns {
		return edge{ok: true, a: a, b: a}
	}
	b := i + 1
	for b < len(s) && s[b].Value == s[i].Value && s[b].Epoch == s[i].Epoch {
		b++
	}
	if b == len(s) || s[b].Epoch != s[i].Epoch || s[b].Value < s[i].Value {
		return edge{a: a, b: min(b, len(s)-1)}
	}
	e := edge{ok: true, a: a, b: b, whole: delta(s[a].Value, s[b].Value)}
	e.share = float64(ns-s[a].MonoNs) / float64(s[b].MonoNs-s[a].MonoNs)
	e.part = e.whole * e.share
	return e
}

// uneven is by how many counts the straight line may miss at an edge because power
// is not constant between two changes: a step of power R at the edge itself costs
// R·T·x(1-x), x being the edge's share of the time T between the changes. R is not
// known; it is taken as the range of mean power over this time and its neighbours.
func (t *Trace) uneven(e edge) float64 {
	if e.a == e.b {
		return 0
	}
	s := t.samples
	own := t.slope(e.a, e.b)
	lo, hi := own, own
	if e.a > 0 {
		if p := t.edgeAt(e.a-1, s[e.a].MonoNs-1); p.ok {
			lo, hi = min(lo, t.slope(p.a, e.a)), max(hi, t.slope(p.a, e.a))
		}
	}
	if e.b+1 < len(s) {
		if n := t.edgeAt(e.b, s[e.b].MonoNs+1); n.ok {
			lo, hi = min(lo, t.slope(e.b, n.b)), max(hi, t.slope(e.b, n.b))
		}
	}
	return (hi - lo) * float64(s[e.b].MonoNs-s[e.a].MonoNs) * e.share * (1 - e.share)
}

// slope is the mean power between two samples, in counts a nanosecond.
func (t *Trace) slope(a, b int) float64 {
	s := t.samples
	return delta(s[a].Value, s[b].Value) / float64(s[b].MonoNs-s[a].MonoNs)
}

// locatedTo is the width in ns to which an edge's changes are known in time. A
// change happened after the read before it and no more than a period before the
// read that shows it. A change-only series hides the reads before, so there it is
// the period, unless the domain states the spread of its stamps. A window shorter
// than the period resolves nothing finer than the period.
//
// An edge in a hole is known no better than the hole is wide. That width is in
// time at the window's mean power: a hole in which more was used counts as wider.
func (t *Trace) locatedTo(e edge, h hole, counts float64, q *query) float64 {
	s, period := t.samples, t.periodNs
	if h.wide() {
		return max(float64(h.widthNs()), e.whole/counts*float64(q.to-q.from))
	}
	if period > q.to-q.from {
		return float64(period)
	}
	// What the line misses, as the width of a uniform distribution in time.
	uneven := math.Sqrt(12) * t.uneven(e) / counts * float64(q.to-q.from)
	if t.Domain.ChangesOnly && t.Domain.LagSpreadNs > 0 {
		return uneven
	}
	width := int64(0)
	for _, i := range []int{e.a, e.b} {
		if i == 0 || t.Domain.ChangesOnly {
			return float64(period)
		}
		width = max(width, s[i].MonoNs-s[i-1].MonoNs)
	}
	if width >= period {
		return float64(period) // it stands for the line's error, too
	}
	return math.Hypot(float64(width), uneven)
}

// count is the number of samples inside [t0, t1].
func (t *Trace) count(t0, t1 int64) int { return t.lastAt(t1) - t.lastAt(t0-1) }

// delta is later-earlier of a counter that did not fall. The difference of two
// int64 can exceed int64; as uint64 it cannot wrap.
func delta(earlier, later int64) float64 { return float64(uint64(later) - uint64(earlier)) }

// UnwrapDelta is the rise from prev to cur of a counter that restarts at 0 after
// maxRange, assuming that it wrapped at most once: poll faster than it can wrap.
// ok is false where the values cannot come from such a counter.
//
// A failed read must never be passed in as 0: it would look like a wrap and add a
// whole range.
func UnwrapDelta(prev, cur, maxRange uint64) (rise uint64, ok bool) {
	if prev > maxRange || cur > maxRange {
		return 0, false
	}
	if cur >= prev {
		return cur - prev, true
	}
	return maxRange - prev + cur, true
}
