package energy

import (
	"math"
	"slices"
	"sort"
)

// lossAt reports whether samples are known to be lost right after the sample
// stamped at ns.
func (t *Trace) lossAt(ns int64) bool {
	i := sort.Search(len(t.gaps), func(i int) bool { return t.gaps[i].FromNs >= ns })
	return i < len(t.gaps) && t.gaps[i].FromNs == ns
}

// lossAtEnd tells whether samples are known to be lost behind the last one. Their
// gap has no end yet.
func (t *Trace) lossAtEnd() bool {
	if len(t.samples) == 0 {
		return false
	}
	last := t.samples[len(t.samples)-1].MonoNs
	return slices.ContainsFunc(t.problems, func(p problem) bool {
		return p.lastNs >= last && (p.code == CodeDropped || p.code == CodeSequenceGap || p.code == CodeBatchShape)
	})
}

// losses counts the spans of known loss between two samples' stamps.
func (t *Trace) losses(fromNs, toNs int64) int {
	first := sort.Search(len(t.gaps), func(i int) bool { return t.gaps[i].FromNs >= fromNs })
	after := sort.Search(len(t.gaps), func(i int) bool { return t.gaps[i].ToNs > toNs })
	return max(0, after-first)
}

// hole is the time between the counter changes around a window's edge, if it is
// too long for a straight line through it; its zero value is none.
type hole struct{ fromNs, toNs int64 }

func (h hole) wide() bool     { return h.toNs > h.fromNs }
func (h hole) widthNs() int64 { return h.toNs - h.fromNs }

// holeAt finds the hole that an edge lies in, by the rule of isGap. An edge on a
// change is sharp, whatever is beside it.
func (t *Trace) holeAt(e edge) hole {
	a, b := t.samples[e.a].MonoNs, t.samples[e.b].MonoNs
	if e.a == e.b || !(t.periodNs > 0 && b-a > 3*t.periodNs) && t.losses(a, b) == 0 {
		return hole{}
	}
	return hole{a, b}
}

// union is the time between t0 and t1 that lies in either hole.
func union(h0, h1 hole, t0, t1 int64) int64 {
	begin := max(0, min(h0.toNs, t1)-t0)
	end := max(0, t1-max(h1.fromNs, t0))
	if !h0.wide() {
		begin = 0
	}
	if !h1.wide() {
		end = 0
	}
	return min(begin+end, t1-t0)
}

const (
	// mostHoleRel is the widest hole at an edge with which a window still ranks,
	// as a share of the window.
	mostHoleRel = 0.05
	// holeMattersRel is the error by one edge, a standard deviation as a share of
	// the window's energy at its mean power, from which on it is marked.
	holeMattersRel = 0.001
)

// doubtEdge says that an edge lies in a hole.
func (q *query) doubtEdge(edge string, h hole) {
	if !h.wide() {
		return
	}
	severity, share := SeverityWarning, float64(h.widthNs())/float64(q.to-q.from)
	switch {
	case h.widthNs() > 3*q.t.periodNs && share > mostHoleRel:
		severity = SeverityFatal
	case share/math.Sqrt(12) < holeMattersRel:
		severity = SeverityInfo
	}
	q.warn(CodeSampleGap, severity, "no counter change is known for %s at the window's %s, %s (period %s); the counter was interpolated there", DurationText(h.widthNs()), edge, lengthText(share), DurationText(q.t.periodNs))
}
