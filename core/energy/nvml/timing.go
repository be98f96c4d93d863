package nvml

import "slices"

// timing maps the driver's stamps to CLOCK_MONOTONIC, and notices when they cannot
// be trusted.
//
// NVML makes the ring's stamps of a clock on the card by a line that it fits to
// the wall clock now and then. Set the wall clock, and the line is wrong for
// minutes: on an H100 (driver 580) a step of +0.3 s let the stamps run 6 % fast and
// up to 0.25 s ahead of the new time, a step of -30 s was not followed at all. So
// the newest sample of every drain must not be from the future, and while stamps
// are in doubt it must not be old either, and the samples must be evenly spaced.
// Where this fails with the new offset of the clocks and with the old one, samples
// are placed by their number, which is sure: the card takes them at a steady pace.
type timing struct {
	wallOffsetNs int64 // of the last pair of clocks
	offsetNs     int64 // with which stamps were mapped last
	known        bool
	retimed      bool  // the last drain was placed by number
	doubtUntilNs int64 // so long the whole ring is read and cut by its values

	tail       []uint64 // the newest values seen
	newestUs   uint64   // and the stamp of the last, as given
	lastLookNs int64    // when that was
}

const (
	// doubtNs is how long stamps are suspected after they were found wrong.
	doubtNs = int64(10e9)
	// futureNs is what two clock reads and a rounded microsecond may differ by.
	futureNs = int64(1e6)
	// staleNs is how much older than one period the newest sample may be in doubt,
	// and hiccupNs otherwise: the ring may pause.
	staleNs, hiccupNs = int64(40e6), int64(1e9)
	// paceNs is how far card and clock may part from one drain to the next.
	paceNs = int64(40e6)
	// unevenNs is how far a distance of two samples may be from the period.
	unevenNs = int64(15e6)
	// centuryNs is so far ahead that a stamp says nothing of the others.
	centuryNs = int64(3600e9)
	// tailLength is how many values find the place where the last drain ended.
	tailLength = 8
)

func (t *timing) doubtful(nowNs int64) bool { return nowNs < t.doubtUntilNs }

// unfollowed tells whether stamps are mapped by another offset than the clocks have:
// the driver has not followed a step yet, and may do so at any time.
func (t *timing) unfollowed() bool {
	moved := t.wallOffsetNs - t.offsetNs
	return max(moved, -moved) >= clockStepNs
}

// pair reads the clocks and returns by how much the wall clock was set, or 0.
func (t *timing) pair(c clocks) (stepNs int64) {
	offset, width := c.offset()
	if width > widestPairNs && t.known {
		return 0
	}
	if moved := t.wallOffsetNs - offset; t.known && max(moved, -moved) > clockStepNs {
		stepNs = moved
	}
	t.wallOffsetNs = offset
	if !t.known {
		t.offsetNs, t.known = offset, true
	}
	return stepNs
}

// unseen is what the whole ring holds behind the values seen last. Where values
// repeat, the number of samples that the time since should have brought decides.
func (t *timing) unseen(samples []ringSample, nowNs, periodNs int64) []ringSample {
	if t.lastLookNs == 0 {
		return samples
	}
	expected := int((nowNs - t.lastLookNs + periodNs/2) / periodNs)
	best, found := max(0, len(samples)-expected), false
	for end := len(t.tail); end <= len(samples); end++ {
		same := slices.EqualFunc(samples[end-len(t.tail):end], t.tail, func(s ringSample, v uint64) bool { return s.MilliW == v })
		if same && (!found || distance(len(samples)-end, expected) < distance(len(samples)-best, expected)) {
			best, found = end, true
		}
	}
	return samples[best:]
}

func distance(a, b int) int { return max(a-b, b-a) }

// place gives new samples their stamps. trusted is false where the driver's own
// could not be used. In doubt samples are in the order of the ring, else sorted.
func (t *timing) place(samples []ringSample, doubt bool, afterNs, nowNs, periodNs int64) (stamps []int64, trusted bool) {
	if len(samples) == 0 {
		return nil, true
	}
	if !t.unfollowed() {
		t.offsetNs = t.wallOffsetNs
	}
	newest := samples[len(samples)-1].WallUs
	for i := len(samples) - 1; i >= 0 && !doubt; i-- {
		if int64(samples[i].WallUs)*1000+t.wallOffsetNs <= nowNs+centuryNs {
			newest = samples[i].WallUs
			break
		}
	}
	oldest := periodNs + hiccupNs
	if doubt {
		oldest = periodNs + staleNs
	}
	steady := !doubt || t.steady(samples, nowNs, periodNs)
	retimed := t.retimed
	t.retimed = true
	for _, offset := range []int64{t.offsetNs, t.wallOffsetNs} {
		age := nowNs - int64(newest)*1000 - offset
		if !steady || age < -futureNs || age > oldest {
			continue
		}
		t.offsetNs, t.retimed = offset, false
		before := afterNs
		for _, s := range samples {
			ns := int64(s.WallUs)*1000 + offset
			if retimed && ns <= before { // the last guess was a little late
				ns = before + periodNs/8
			}
			stamps, before = append(stamps, ns), ns
		}
		break
	}
	if t.retimed {
		stamps = byNumber(len(samples), afterNs, nowNs, periodNs)
	}
	for _, s := range samples {
		t.tail = append(t.tail, s.MilliW)
	}
	t.tail = slices.Clone(t.tail[max(0, len(t.tail)-tailLength):])
	t.newestUs, t.lastLookNs = newest, nowNs
	return stamps, !t.retimed
}

// byNumber spreads n samples evenly up to now, behind afterNs if their number fits
// the time since. The newest is between nothing and a period old.
func byNumber(n int, afterNs, nowNs, periodNs int64) []int64 {
	last, spacing := nowNs-periodNs/2, periodNs
	if even := (last - afterNs) / int64(n); afterNs > 0 && even > periodNs*4/5 && even < periodNs*6/5 {
		spacing = even
	}
	stamps := make([]int64, n)
	for i := range stamps {
		stamps[i] = last - int64(n-1-i)*spacing
	}
	return stamps
}

// steady tells whether card and clock went on alike since the last drain, and
// whether the samples are evenly spaced.
func (t *timing) steady(samples []ringSample, nowNs, periodNs int64) bool {
	newest := samples[len(samples)-1].WallUs
	if t.lastLookNs > 0 {
		parted := int64(newest-t.newestUs)*1000 - (nowNs - t.lastLookNs)
		if max(parted, -parted) > paceNs {
			return false
		}
	}
	for i := 1; i < len(samples); i++ {
		uneven := int64(samples[i].WallUs-samples[i-1].WallUs)*1000 - periodNs
		if max(uneven, -uneven) > unevenNs {
			return false
		}
	}
	return true
}
