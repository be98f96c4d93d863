package energy

import (
	"slices"
	"sort"
)

// Sample is one reading as the sensor gave it.
type Sample struct {
	// MonoNs is the stamp, nanoseconds of CLOCK_MONOTONIC.
	MonoNs int64
	// Value is in counts of the domain's unit.
	Value int64
	// Epoch rises when a counter restarts; values of different epochs cannot be
	// subtracted.
	Epoch uint32
}

// Gap is a span in which samples are known to be lost.
type Gap struct {
	// FromNs and ToNs are the stamps on either side of the loss.
	FromNs, ToNs int64
	// Lost is the number of samples lost, 0 when unknown.
	Lost uint64
}

// Trace is the recording of one domain. It is read-only: make one with a
// [Builder] or [NewTrace], share it freely.
type Trace struct {
	Domain Domain
	// CompleteUntilNs is the source's watermark: every sample stamped at or before
	// it is here.
	CompleteUntilNs int64
	// Dropped is the number of samples that the source says it lost.
	Dropped uint64

	samples  []Sample // stamps strictly rising
	gaps     []Gap    // rising, not overlapping
	problems []problem
	periodNs int64

	// plain makes the recording that plausible returns, once; nil: it is this one.
	plain   func() *Trace
	refused []refusal // what plausible left out, rising
}

// NewTrace makes a Trace of samples read back from disk. They pass the same
// checks as live ones.
func NewTrace(d Domain, samples []Sample, completeUntilNs int64) (*Trace, error) {
	b, err := NewBuilder(d)
	if err != nil {
		return nil, err
	}
	b.samples = make([]Sample, 0, len(samples))
	if b.horizon = completeUntilNs; completeUntilNs <= 0 {
		stamps := make([]int64, len(samples))
		for i, s := range samples {
			stamps[i] = s.MonoNs
		}
		b.horizon = earliest(stamps)
	}
	for _, s := range samples {
		b.add(s)
	}
	b.completeUntil = completeUntilNs
	return b.Snapshot(), nil
}

// Samples returns the recording, stamps strictly rising. The caller must not
// change it.
func (t *Trace) Samples() []Sample { return t.samples }

// Gaps returns the spans of known loss, rising.
func (t *Trace) Gaps() []Gap { return t.gaps }

// PeriodNs is the domain's update period, or where it states none the median
// distance of the samples (for a counter: of the changes). 0 with too few samples.
func (t *Trace) PeriodNs() int64 { return t.periodNs }

// Duty is the share of all time that the sensor looks at, by [Domain.Duty] with the
// period of the samples where the domain states none.
func (t *Trace) Duty() (share float64, known bool) { return t.Domain.Duty(t.periodNs) }

// Timed is the Domain with the update period of the samples where it states none.
func (t *Trace) Timed() Domain {
	d := t.Domain
	if d.UpdateNs == 0 && !d.ChangesOnly && t.periodNs <= maxSpanNs {
		d.UpdateNs = t.periodNs
	}
	return d
}

// Warnings lists what was wrong with the recording as a whole.
func (t *Trace) Warnings() []Warning {
	var out []Warning
	for _, p := range slices.Concat(t.problems, refusedProblems(t.plausible().refused)) {
		out = append(out, p.warning(t.Domain.ID))
	}
	return out
}

// lastAt is the index of the last sample stamped at or before ns, or -1.
func (t *Trace) lastAt(ns int64) int {
	return sort.Search(len(t.samples), func(i int) bool { return t.samples[i].MonoNs > ns }) - 1
}

// medianPeriod looks at no more than about a thousand distances, spread over the
// recording, so that its cost does not grow with a trace of ten million samples.
func medianPeriod(s []Sample, changes bool) int64 {
	const most = 1001
	step := max(1, (len(s)-1)/most)
	var d []int64
	if changes {
		last := -1
		for i := 1; i < len(s) && len(d) < most; i++ {
			if s[i].Value == s[i-1].Value {
				continue
			}
			if last > 0 {
				d = append(d, s[i].MonoNs-s[last].MonoNs)
			}
			last = i
		}
	} else {
		for i := 1; i < len(s); i += step {
			d = append(d, s[i].MonoNs-s[i-1].MonoNs)
		}
	}
	if len(d) == 0 {
		if changes { // too few changes: the reads are the best that is known
			return medianPeriod(s, false)
		}
		return 0
	}
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[len(d)/2]
}
