package energy

import "slices"

// Samples of power that no running device gives are not taken for power: a zero in
// every tenth sample is 10 % of the joules, and one damaged value may be all of
// them. They stay in the recording as they came; a window is computed without them
// and with the loss that they are.

// mostPowerW is more than the domain can draw: as its source states it, else more
// than anything of its kind.
func (d Domain) mostPowerW() float64 {
	if d.MostPowerW > 0 {
		return d.MostPowerW
	}
	switch d.Kind {
	case KindGPU, KindGPUMemory, KindModule, KindCPUPackage, KindDRAM:
		return 100e3
	case KindNode:
		return 1e6
	}
	return 100e6
}

// alwaysDraws tells of kinds whose power is never 0 W while somebody can ask.
func (d Domain) alwaysDraws() bool {
	switch d.Kind {
	case KindGPU, KindModule, KindCPUPackage, KindNode:
		return !d.Estimated
	}
	return false
}

// A lone value far from the median of its neighbours is damaged, too: a busy device
// draws some tens of times what an idle one does, and in more than one sample.
const (
	neighboursEachSide = 16
	leastNeighbours    = 4
	timesNeighbours    = 100.0  // above
	timesBelow         = 1000.0 // below, of a device that always draws
	leastOutlierW      = 500.0  // below this a burst of a small device may be true
)

// impossible is the code of a sample that is none whatever lies beside it, or "".
func (d Domain) impossible(value int64) string {
	switch {
	case float64(value)*d.unit() > d.mostPowerW():
		return CodeImplausible
	case value == 0 && d.alwaysDraws():
		return CodeZeroSample
	}
	return ""
}

// suspicion is what a Builder keeps of the samples so far, to know without looking
// at all of them again that none of them can be implausible.
type suspicion struct {
	aroused     bool
	least, most int64 // of the values above 0
}

func (x *suspicion) look(d Domain, value int64) {
	if x.aroused || d.Reading == ReadingCounter {
		return // a counter is judged by what it rises
	}
	if value > 0 {
		if x.least == 0 {
			x.least = value
		}
		x.least, x.most = min(x.least, value), max(x.most, value)
	}
	high := float64(x.most)*d.unit() > leastOutlierW && float64(x.most) > timesNeighbours*float64(x.least)
	low := d.alwaysDraws() && float64(x.most) > timesBelow*float64(x.least)
	x.aroused = high || low || d.impossible(value) != ""
}

// refusal is a sample that is not taken for power.
type refusal struct {
	ns   int64
	code string
}

// plausible is the recording that windows are made of: t itself, or without the
// samples that are refused, each of which leaves a gap.
func (t *Trace) plausible() *Trace {
	if t.Domain.Reading == ReadingCounter || t.plain == nil {
		return t
	}
	return t.plain()
}

// without makes the recording of plausible. It walks over all samples, once.
func (t *Trace) without(seen suspicion) *Trace {
	out := *t
	out.plain, out.gaps = nil, nil
	out.samples = make([]Sample, 0, len(t.samples))
	lost, refusedSince := uint64(0), false
	gap := 0
	for i, s := range t.samples {
		if code := t.implausible(i, seen); code != "" {
			out.refused = append(out.refused, refusal{s.MonoNs, code})
			lost, refusedSince = lost+1, true
			continue
		}
		for ; gap < len(t.gaps) && t.gaps[gap].FromNs < s.MonoNs; gap++ {
			lost, refusedSince = lost+t.gaps[gap].Lost, true
		}
		if n := len(out.samples); n > 0 && refusedSince {
			out.gaps = append(out.gaps, Gap{FromNs: out.samples[n-1].MonoNs, ToNs: s.MonoNs, Lost: lost})
		}
		lost, refusedSince = 0, false
		out.samples = append(out.samples, s)
	}
	return &out
}

// implausible is the code of sample i if it is not taken for power, or "".
func (t *Trace) implausible(i int, all suspicion) string {
	d, s := t.Domain, t.samples
	if code := d.impossible(s[i].Value); code != "" {
		return code
	}
	value := float64(s[i].Value)
	if value*d.unit() > leastOutlierW && value > timesNeighbours*float64(all.least) &&
		t.mostAround(i, func(other float64) bool { return value > timesNeighbours*other }) {
		return CodeImplausible
	}
	if d.alwaysDraws() && value > 0 && value*timesBelow < float64(all.most) &&
		t.mostAround(i, func(other float64) bool { return value*timesBelow < other }) {
		return CodeZeroSample
	}
	return ""
}

// mostAround tells whether something holds of most neighbours of sample i, which is
// whether it holds of their median. It ends as soon as enough differ.
func (t *Trace) mostAround(i int, holds func(other float64) bool) bool {
	s, seen, no := t.samples, 0, 0
	for _, step := range []int{-1, 1} {
		at, found := i+step, 0
		for ; found < neighboursEachSide && at >= 0 && at < len(s) && max(at-i, i-at) <= 4*neighboursEachSide; at += step {
			if t.Domain.impossible(s[at].Value) != "" {
				continue
			}
			if found++; holds(float64(s[at].Value)) {
				continue
			}
			if no++; no >= neighboursEachSide {
				return false
			}
		}
		seen += found
	}
	return seen >= leastNeighbours && 2*no < seen
}

// refusedIn are the samples refused between two stamps.
func (t *Trace) refusedIn(fromNs, toNs int64) []refusal {
	at := func(ns int64) int {
		i, _ := slices.BinarySearchFunc(t.refused, ns, func(r refusal, ns int64) int {
			switch {
			case r.ns < ns:
				return -1
			case r.ns > ns:
				return 1
			}
			return 0
		})
		return i
	}
	return t.refused[at(fromNs):max(at(fromNs), at(toNs+1))]
}

// refusedProblems sums refusals up, by code.
func refusedProblems(list []refusal) []problem {
	var out []problem
	for _, r := range list {
		i := slices.IndexFunc(out, func(p problem) bool { return p.code == r.code })
		if i < 0 {
			out = append(out, problem{code: r.code, firstNs: r.ns})
			i = len(out) - 1
		}
		out[i].count++
		out[i].lastNs = r.ns
	}
	return out
}

// leastSlackNs is how much longer than the time since its last change a counter may
// have counted, at least.
const leastSlackNs = int64(100e6)

// rise judges one change of a counter: by counts over sinceNs since the change
// before. It is false for more than the domain can draw, taken to have counted for
// two periods longer.
func (t *Trace) risesPlausibly(counts float64, sinceNs int64) bool {
	slack := max(leastSlackNs, 2*t.periodNs)
	return counts*t.Domain.unit() <= t.Domain.mostPowerW()*seconds(sinceNs+slack)
}

// Within one window a counter's changes are held against each other: a few that are
// so many times their median are damaged. More of them are a load.
const (
	leastChanges  = 5
	fewChangesRel = 0.1
)

// loneJump finds a change among a counter's samples lo..hi that cannot be, or -1.
func (t *Trace) loneJump(lo, hi int) int {
	s, unit := t.samples, t.Domain.unit()
	least, most, at, changes := 0.0, 0.0, -1, 0
	last := lo
	each := func(take func(i int, w float64)) {
		last = lo
		for i := lo + 1; i <= hi; i++ {
			if s[i].Value == s[i-1].Value {
				continue
			}
			take(i, delta(s[last].Value, s[i].Value)*unit/seconds(s[i].MonoNs-s[last].MonoNs))
			last = i
		}
	}
	each(func(i int, w float64) {
		if changes++; changes == 1 || w < least {
			least = w
		}
		if w > most {
			most, at = w, i
		}
	})
	if changes < leastChanges || most <= leastOutlierW || most <= timesNeighbours*least {
		return -1
	}
	rates := make([]float64, 0, changes)
	each(func(_ int, w float64) { rates = append(rates, w) })
	slices.Sort(rates)
	bound := max(leastOutlierW, timesNeighbours*rates[(changes-1)/2])
	first, _ := slices.BinarySearch(rates, bound)
	if beyond := changes - first; most <= bound || float64(beyond) > max(1, fewChangesRel*float64(changes)) {
		return -1
	}
	return at
}
