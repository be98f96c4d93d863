package energy

import (
	"fmt"
	"math"
)

// power computes a window over samples of power.
//
//	instant        trapezoid, linearly interpolated at both edges
//	trailing_mean  stamps moved back by half the average, then trapezoid; averages
//	               much longer than the period are tiled end to end instead
//	interval_mean  each sample holds for the interval before its stamp
//	changes only   each sample holds until the next (a trapezoid would turn every
//	               plateau into a ramp)
func (q *query) power() (Window, error) {
	d := q.t.Domain
	if d.ChangesOnly {
		shift := d.shiftNs()
		// A hold says nothing when the next change is still to come: it must not be.
		if need := q.to + shift; q.t.CompleteUntilNs < need {
			return Window{}, q.fail(CodeIncomplete, fmt.Sprintf("the source is complete until %d ns and is needed until %d ns", q.t.CompleteUntilNs, need))
		}
		return q.integrate(MethodHoldLast, shift, hold, d.AveragingNs)
	}
	switch d.Reading {
	case ReadingIntervalMean:
		return q.integrate(MethodIntervalMean, d.shiftNs(), backfill, 0)
	case ReadingInstant:
		return q.integrate(MethodTrapezoid, d.shiftNs(), trapezoid, d.UpdateNs)
	}
	tiles := (q.to - q.from) / d.AveragingNs
	if d.AveragingNs >= 3*q.t.periodNs && tiles >= 1 && tiles <= int64(len(q.t.samples)) {
		return q.tile()
	}
	if q.to-q.from < d.AveragingNs {
		q.warn(CodeShortWindow, SeverityWarning, "the window is shorter than the sensor's average of %s, so what lies outside leaks in", DurationText(d.AveragingNs))
	}
	return q.integrate(MethodTrailingShifted, d.shiftNs(), trapezoid, d.AveragingNs)
}

// rule gives the mean power between two points of the segment from sample a to
// sample b, as shares x0, x1 of the way.
type rule func(a, b int64, x0, x1 float64) float64

func trapezoid(a, b int64, x0, x1 float64) float64 {
	m := (x0 + x1) / 2
	return float64(a)*(1-m) + float64(b)*m
}
func hold(a, _ int64, _, _ float64) float64     { return float64(a) }
func backfill(_, b int64, _, _ float64) float64 { return float64(b) }

// integrate adds up the segments between samples, cut exactly at the edges.
// smear is the time over which one value is averaged, or how old it may be where it
// is read more often than it is made (0 = its own segment).
func (q *query) integrate(method string, shift int64, mean rule, smear int64) (Window, error) {
	t, s, n := q.t, q.t.samples, len(q.t.samples)
	t0, t1 := q.from+shift, q.to+shift
	i0, i1 := t.lastAt(t0), t.lastAt(t1)
	if err := q.reach(i0, i1, t0, t1); err != nil {
		return Window{}, err
	}
	lo, hi := max(i0, 0), min(i1+1, n-1)
	if err := q.checkRange(lo, hi, false); err != nil {
		return Window{}, err
	}
	q.checkNegative(lo, hi)

	var sum neumaier
	var uncovered, width0, width1, widest int64
	var edge0, edge1 int64 // the power around the edges
	for i := i0; i <= i1; i++ {
		var a, b Sample
		switch {
		case i < 0: // before the first sample: its value is held back
			b = s[0]
			a = Sample{MonoNs: t0, Value: b.Value}
		case i == n-1: // after the last: its value is held on
			a = s[i]
			b = Sample{MonoNs: t1, Value: a.Value}
		default:
			a, b = s[i], s[i+1]
		}
		from, to := max(a.MonoNs, t0), min(b.MonoNs, t1)
		if to <= from {
			continue
		}
		length := b.MonoNs - a.MonoNs
		x0, x1 := float64(from-a.MonoNs)/float64(length), float64(to-a.MonoNs)/float64(length)
		sum.add(mean(a.Value, b.Value, x0, x1) * seconds(to-from))
		if from == t0 {
			width0, edge0 = length, max(a.Value, b.Value)
		}
		if to == t1 {
			width1, edge1 = length, max(a.Value, b.Value)
		}
		held := i < 0 || i == n-1
		doubtful := held || t.isGap(a.MonoNs, b.MonoNs)
		if t.Domain.ChangesOnly { // silence says that a value held, unless what came is lost
			doubtful = !held && t.lossAt(a.MonoNs) || i == n-1 && (t.lossAtEnd() || len(t.refusedIn(a.MonoNs, t1)) > 0)
		}
		if doubtful {
			uncovered += to - from
			if !held || t.Domain.ChangesOnly {
				widest = max(widest, length)
			}
		}
	}
	if widest > 0 {
		q.warn(CodeSampleGap, SeverityWarning, "samples are missing for up to %s (period %s); power was interpolated there", DurationText(widest), DurationText(t.periodNs))
	}
	w := Window{Method: method, EnergyJ: sum.value() * t.Domain.unit(), Samples: t.count(t0, t1)}
	if t.Domain.ChangesOnly && t.Domain.UpdateNs > 0 { // a held value is as sharp in time as the sensor, not as its last change
		width0, width1 = min(width0, t.Domain.UpdateNs), min(width1, t.Domain.UpdateNs)
	}
	times0, times1 := q.besideBurst(edge0, sum.value()), q.besideBurst(edge1, sum.value())
	w.RandomRel = q.edgeModel(float64(max(width0, smear))*times0, float64(max(width1, smear))*times1)
	q.cover(&w, uncovered)
	return w, nil
}

// burstTimes is how many times a window's mean power its edge draws beside a burst.
// Below it is a ripple, which edgeModel's whole mean power over the width holds.
const burstTimes = 2

// besideBurst is how many times more an error in time costs at an edge than the
// window's mean power says, from counts at the edge and of the whole window.
func (q *query) besideBurst(edge int64, sum float64) float64 {
	if mean := sum / q.sd; mean > 0 && float64(edge) > burstTimes*mean {
		return float64(edge) / mean
	}
	return 1
}

// tile lays averages end to end: E = sum of A(from+k*w)*w, with no overlap and no
// gap, where A is interpolated between samples. A rest shorter than one average
// takes the power of the average that ends with the window, so that nothing from
// outside leaks in.
func (q *query) tile() (Window, error) {
	t, width := q.t, q.t.Domain.AveragingNs
	t0, t1 := q.from+t.Domain.LagNs, q.to+t.Domain.LagNs
	i0, i1 := t.lastAt(t0+width), t.lastAt(t1)
	if err := q.reach(i0, i1, t0+width, t1); err != nil {
		return Window{}, err
	}
	lo, hi := max(i0, 0), min(i1+1, len(t.samples)-1)
	if err := q.checkRange(lo, hi, false); err != nil {
		return Window{}, err
	}
	q.checkNegative(lo, hi)
	for i := lo + 1; i <= hi; i++ {
		if a, b := t.samples[i-1].MonoNs, t.samples[i].MonoNs; t.isGap(a, b) {
			q.warn(CodeSampleGap, SeverityWarning, "samples are missing for %s at %d ns (period %s); the averages there were interpolated", DurationText(b-a), a, DurationText(t.periodNs))
			break
		}
	}
	var sum neumaier
	var uncovered int64
	take := func(end, length int64) {
		p, covered := t.powerAt(end)
		sum.add(p * seconds(length))
		if !covered {
			uncovered += length
		}
	}
	rest := (q.to - q.from) % width
	for end := t0 + width; end <= t1-rest; end += width {
		take(end, width)
	}
	if rest > 0 {
		take(t1, rest)
	}
	w := Window{Method: MethodTrailingTiled, EnergyJ: sum.value() * t.Domain.unit(), Samples: t.count(t0, t1)}
	period := float64(t.periodNs)
	// The rest differs from the average that stands for it: nothing is known of it
	// in the middle, all at either end.
	share := float64(rest) * (1 - float64(rest)/float64(width))
	w.RandomRel = q.edgeModel(period, math.Hypot(period, share))
	q.cover(&w, uncovered)
	return w, nil
}

// powerAt interpolates between the samples around ns; covered is false in a gap
// or beyond the recording.
func (t *Trace) powerAt(ns int64) (p float64, covered bool) {
	s, i := t.samples, t.lastAt(ns)
	switch {
	case i < 0:
		return float64(s[0].Value), false
	case s[i].MonoNs == ns:
		return float64(s[i].Value), true
	case i == len(s)-1:
		return float64(s[i].Value), false
	}
	a, b := s[i], s[i+1]
	x := float64(ns-a.MonoNs) / float64(b.MonoNs-a.MonoNs)
	return trapezoid(a.Value, b.Value, x, x), !t.isGap(a.MonoNs, b.MonoNs)
}

// reach refuses windows that the recording does not reach: at most three periods
// beyond the first or last sample are bridged by holding it, and said.
func (q *query) reach(i0, i1 int, t0, t1 int64) error {
	s, slack := q.t.samples, 3*q.t.periodNs
	if i1 < 0 {
		return q.fail(CodeNotCovered, fmt.Sprintf("the first sample is %s after the window's end", DurationText(s[0].MonoNs-t1)))
	}
	if i0 < 0 {
		if before := s[0].MonoNs - t0; before > slack {
			return q.fail(CodeNotCovered, fmt.Sprintf("the first sample is %s after the window's begin", DurationText(before)))
		}
		q.warn(CodeEdgeHeld, SeverityInfo, "the first sample was held back for %s to the window's begin", DurationText(s[0].MonoNs-t0))
	}
	if last := s[len(s)-1].MonoNs; last < t1 && !q.t.Domain.ChangesOnly {
		if t1-last > slack && q.t.CompleteUntilNs < t1 {
			return q.fail(CodeIncomplete, fmt.Sprintf("the source is complete until %d ns and is needed until %d ns", q.t.CompleteUntilNs, t1))
		}
		if t1-last > slack {
			return q.fail(CodeNotCovered, fmt.Sprintf("the last sample is %s before the window's end", DurationText(t1-last)))
		}
		q.warn(CodeEdgeHeld, SeverityInfo, "the last sample was held for %s to the window's end", DurationText(t1-last))
	}
	return nil
}

func (q *query) checkNegative(lo, hi int) {
	for i := lo; i <= hi; i++ {
		if v := q.t.samples[i].Value; v < 0 {
			q.warn(CodeNegativePower, SeverityFatal, "the sensor gave negative power (%d counts at %d ns)", v, q.t.samples[i].MonoNs)
			return
		}
	}
}

// cover sets the coverage and widens the random error for what was bridged: power
// in a hole is taken as anywhere between 0 and twice the mean, a uniform width
// with standard deviation P/sqrt(3).
func (q *query) cover(w *Window, uncoveredNs int64) {
	q.coverage(w, uncoveredNs)
	w.RandomRel = math.Hypot(w.RandomRel, (1-w.CoverageRatio)/math.Sqrt(3))
}

// coverage sets the coverage, and says when it is low.
func (q *query) coverage(w *Window, uncoveredNs int64) {
	w.CoverageRatio = max(0, 1-float64(uncoveredNs)/float64(q.to-q.from))
	switch {
	case w.CoverageRatio < 0.75:
		q.warn(CodeLowCoverage, SeverityFatal, "samples cover %.1f %% of the window", 100*w.CoverageRatio)
	case w.CoverageRatio < 0.95:
		q.warn(CodeLowCoverage, SeverityWarning, "samples cover %.1f %% of the window", 100*w.CoverageRatio)
	}
}

// isGap reports whether the time between two neighbouring samples holds lost ones.
func (t *Trace) isGap(a, b int64) bool {
	if t.periodNs > 0 && b-a > 3*t.periodNs {
		return true
	}
	return t.lossAt(a)
}
