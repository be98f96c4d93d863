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
func (q *query) counter() (Window, error) {
	t, s := q.t, q.t.samples
	t0, t1 := q.from+t.Domain.LagNs, q.to+t.Domain.LagNs
	i0, i1 := t.lastAt(t0), t.lastAt(t1)
	if i0 < 0 {
		return Window{}, q.fail(CodeNotCovered, fmt.Sprintf("the first counter read is at %d ns, %s after the window's begin", s[0].MonoNs, ms(s[0].MonoNs-t0)))
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
	w := Window{CoverageRatio: 1, Samples: t.count(t0, t1)}
	if !e0.ok || !e1.ok {
		return q.counterDifference(w, i0, i1, t0, t1)
	}
	w.Method = MethodCounterInterpolated
	unit := t.Domain.unit()
	counts := delta(s[e0.a].Value, s[e1.a].Value) + e1.part - e0.part
	w.EnergyJ = counts * unit
	if counts <= 0 {
		return w, nil // finish refuses it
	}
	w.RandomRel = q.edgeModel(t.locatedTo(e0, q), t.locatedTo(e1, q))
	// An edge inside a wide hole between reads is known only as a share of the
	// hole's energy: Beta(2w, 2(1-w)) about the straight line, uniform at w = 1/2,
	// whose variance is w(1-w)/3.
	for _, e := range []edge{e0, e1} {
		if period := t.periodNs; period > 0 && s[e.b].MonoNs-s[e.a].MonoNs > 3*period && e.share > 0 {
			w.RandomRel = math.Hypot(w.RandomRel, e.whole/counts*math.Sqrt(e.share*(1-e.share)/3))
			q.warn(CodeEdgeUnresolved, SeverityWarning, "an edge lies between counter changes %s apart (update period %s)", ms(s[e.b].MonoNs-s[e.a].MonoNs), ms(period))
		}
	}
	return w, nil
}

// counterDifference is the fallback with its own error term, P*T/sqrt(6) for two
// edges stale by up to one period T.
func (q *query) counterDifference(w Window, i0, i1 int, t0, t1 int64) (Window, error) {
	s, period := q.t.samples, q.t.periodNs
	stale0, stale1 := t0-s[i0].MonoNs, t1-s[i1].MonoNs
	if worst := max(stale0, stale1); worst > 3*period && !q.t.Domain.ChangesOnly {
		return Window{}, q.fail(CodeNotCovered, fmt.Sprintf("no counter read within three periods before an edge: the last is %s old", ms(worst)))
	}
	w.Method = MethodCounterDifference
	w.EnergyJ = delta(s[i0].Value, s[i1].Value) * q.t.Domain.unit()
	w.RandomRel = q.edgeModel(float64(period+stale0), float64(period+stale1))
	q.warn(CodeEdgeUnresolved, SeverityWarning, "no counter change on both sides of both edges: raw difference of the last reads, each stale by up to %s", ms(period))
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

// locatedTo is the width in ns to which an edge's changes are known in time. A
// change happened after the read before it and no more than a period before the
// read that shows it. A change-only series hides the reads before, so there it is
// the period, unless the domain states the spread of its stamps. A window shorter
// than the period resolves nothing finer than the period.
func (t *Trace) locatedTo(e edge, q *query) float64 {
	s, period := t.samples, t.periodNs
	if period > q.to-q.from {
		return float64(period)
	}
	if t.Domain.ChangesOnly && t.Domain.LagSpreadNs > 0 {
		return 0
	}
	width := int64(0)
	for _, i := range []int{e.a, e.b} {
		if i == 0 || t.Domain.ChangesOnly {
			return float64(period)
		}
		width = max(width, s[i].MonoNs-s[i-1].MonoNs)
	}
	return float64(min(width, period))
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
