package energy

import (
	"fmt"
	"slices"
	"sort"
	"sync"
)

// Batch is what a source's stream delivers at once for one domain.
type Batch struct {
	// Sequence counts the batches of the domain from the stream's first.
	Sequence uint64
	Epoch    uint32
	// Dropped is the number of samples lost since the previous batch.
	Dropped uint64
	// CompleteUntilNs is the watermark after this batch; 0 = unchanged.
	CompleteUntilNs int64
	// StampsNs and Values run in parallel.
	StampsNs []int64
	Values   []int64
}

// Builder collects batches into Traces. Nothing that it refuses vanishes: every
// refusal is counted and becomes a warning of the Trace. Safe for one stream
// appending while others take snapshots.
type Builder struct {
	mu            sync.Mutex
	domain        Domain
	samples       []Sample
	gaps          []Gap
	problems      []problem
	dropped       uint64
	completeUntil int64
	nextSequence  uint64
	started       bool
	lossPending   bool
	lost          uint64
	// horizon is what a stamp is held against while there is nothing else.
	horizon   int64
	suspicion suspicion
	periodNs  int64 // of a restored recording; 0 = take it from the samples
}

// NewBuilder starts an empty recording of d.
func NewBuilder(d Domain) (*Builder, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return &Builder{domain: d}, nil
}

// Append checks a batch and adds its good samples. Samples out of order, twice
// or with impossible stamps are left out and counted; a missing batch or lost
// samples leave a Gap. So does a batch with stamps and values of different number:
// which belongs to which nobody knows.
func (b *Builder) Append(batch Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.completeUntil
	if n := len(b.samples); n > 0 {
		at = max(at, b.samples[n-1].MonoNs)
	}
	if b.started && batch.Sequence > b.nextSequence {
		b.note(CodeSequenceGap, batch.Sequence-b.nextSequence, at)
		b.lossPending = true
	}
	if b.started && batch.Sequence < b.nextSequence {
		b.note(CodeSequenceRepeat, 1, at)
	} else {
		b.nextSequence = batch.Sequence + 1
	}
	b.started = true
	if batch.Dropped > 0 {
		b.note(CodeDropped, batch.Dropped, at)
		b.dropped += batch.Dropped
		b.lossPending, b.lost = true, b.lost+batch.Dropped
	}
	if len(batch.StampsNs) != len(batch.Values) {
		b.note(CodeBatchShape, uint64(max(len(batch.StampsNs), len(batch.Values))), at)
		b.lossPending = true
		batch.StampsNs, batch.Values = nil, nil
	}
	if mark := max(b.completeUntil, batch.CompleteUntilNs); mark > 0 {
		if b.completeUntil == 0 {
			b.forgetBeyond(mark)
		}
		b.horizon = mark
	} else if len(b.samples) == 0 {
		b.horizon = earliest(batch.StampsNs)
	}
	for i := range batch.StampsNs {
		b.add(Sample{MonoNs: batch.StampsNs[i], Value: batch.Values[i], Epoch: batch.Epoch})
	}
	switch {
	case batch.CompleteUntilNs >= b.completeUntil:
		b.completeUntil = batch.CompleteUntilNs
	case batch.CompleteUntilNs != 0:
		b.note(CodeWatermark, 1, batch.CompleteUntilNs)
	}
}

// mostAheadNs is how far a stamp may lie beyond the sample before it and the
// watermark. One beyond is damaged, and would make every later one look late.
const mostAheadNs = int64(3600e9)

// earliest of some stamps; what has no watermark yet is held against it.
func earliest(stampsNs []int64) int64 {
	first := int64(0)
	for i, ns := range stampsNs {
		if ns >= 0 && (i == 0 || first == 0 || ns < first) {
			first = ns
		}
	}
	return first
}

// forgetBeyond takes samples back that the first watermark shows to be damaged:
// until it came there was nothing to hold them against. Snapshots keep theirs.
func (b *Builder) forgetBeyond(mark int64) {
	n := len(b.samples)
	for n > 0 && b.samples[n-1].MonoNs-mark > mostAheadNs {
		n--
	}
	if bad := len(b.samples) - n; bad > 0 {
		b.note(CodeBadStamp, uint64(bad), mark)
		b.samples = slices.Clone(b.samples[:n])
		b.gaps = slices.DeleteFunc(slices.Clone(b.gaps), func(g Gap) bool { return g.ToNs-mark > mostAheadNs })
	}
}

// add appends one sample or counts why not.
func (b *Builder) add(s Sample) {
	n := len(b.samples)
	latest := max(b.horizon, b.completeUntil)
	place := latest // of a stamp that says nothing, as far as anybody knows
	if n > 0 {
		place = b.samples[n-1].MonoNs
		latest = max(latest, place)
	}
	if s.MonoNs < 0 || s.MonoNs-latest > mostAheadNs {
		b.note(CodeBadStamp, 1, place)
		return
	}
	if n == 0 {
		b.keep(s)
		b.lossPending, b.lost = false, 0
		return
	}
	last := b.samples[n-1]
	switch {
	case s.MonoNs < last.MonoNs:
		b.note(CodeStampsBackwards, 1, s.MonoNs)
		return
	case s.MonoNs == last.MonoNs && s.Value == last.Value && s.Epoch == last.Epoch:
		b.note(CodeDuplicate, 1, s.MonoNs)
		return
	case s.MonoNs == last.MonoNs:
		b.note(CodeConflict, 1, s.MonoNs)
		return
	}
	if s.Epoch < last.Epoch {
		b.note(CodeEpochBackwards, 1, s.MonoNs)
	}
	if b.completeUntil > 0 && s.MonoNs <= b.completeUntil {
		b.note(CodeWatermark, 1, s.MonoNs)
	}
	if b.lossPending {
		b.gaps = append(b.gaps, Gap{FromNs: last.MonoNs, ToNs: s.MonoNs, Lost: b.lost})
		b.lossPending, b.lost = false, 0
	}
	b.keep(s)
}

func (b *Builder) keep(s Sample) {
	b.suspicion.look(b.domain, s.Value)
	b.samples = append(b.samples, s)
}

// TrimBefore forgets samples, gaps and problems from before ns, but for the last
// sample before it, so that a window from ns on finds its neighbour. Snapshots
// stay whole. Without a declared update period the period comes from what is
// left.
func (b *Builder) TrimBefore(ns int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := sort.Search(len(b.samples), func(i int) bool { return b.samples[i].MonoNs > ns }) - 1
	if first > 0 { // a copy, since a slice of it would hold the whole array
		b.samples = slices.Clone(b.samples[first:])
	}
	old := sort.Search(len(b.gaps), func(i int) bool { return b.gaps[i].ToNs > ns })
	if old > 0 {
		b.gaps = slices.Clone(b.gaps[old:])
	}
	if len(b.samples) > 0 { // what was lost since the sample that is left still is
		ns = min(ns, b.samples[0].MonoNs)
	}
	b.problems = slices.DeleteFunc(b.problems, func(p problem) bool { return p.lastNs < ns })
}

// Snapshot returns the recording so far. It copies no samples: the builder only
// ever appends behind what a snapshot can see.
func (b *Builder) Snapshot() *Trace {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &Trace{
		Domain:          b.domain,
		CompleteUntilNs: b.completeUntil,
		Dropped:         b.dropped,
		samples:         b.samples[:len(b.samples):len(b.samples)],
		gaps:            b.gaps[:len(b.gaps):len(b.gaps)],
		problems:        append([]problem(nil), b.problems...),
		periodNs:        max(b.domain.UpdateNs, b.periodNs),
	}
	if t.periodNs == 0 {
		t.periodNs = medianPeriod(t.samples, b.domain.Reading == ReadingCounter)
	}
	if b.suspicion.aroused {
		seen := b.suspicion
		t.plain = sync.OnceValue(func() *Trace { return t.without(seen) })
	}
	return t
}

// problem is one kind of trouble, counted, with the span in which it was met.
type problem struct {
	code            string
	count           uint64
	firstNs, lastNs int64
}

// note counts trouble of one code; the list stays as short as the list of codes.
func (b *Builder) note(code string, count uint64, atNs int64) {
	for i := range b.problems {
		if p := &b.problems[i]; p.code == code {
			p.count += count
			p.firstNs, p.lastNs = min(p.firstNs, atNs), max(p.lastNs, atNs)
			return
		}
	}
	b.problems = append(b.problems, problem{code: code, count: count, firstNs: atNs, lastNs: atNs})
}

func (p problem) warning(domain string) Warning {
	w := Warning{Code: p.code, Severity: SeverityWarning, Domain: domain}
	if p.code == CodeDuplicate {
		w.Severity = SeverityInfo
	}
	w.Message = fmt.Sprintf("%s: %d in the recording, met between %d and %d ns", problemWords[p.code], p.count, p.firstNs, p.lastNs)
	return w
}

var problemWords = map[string]string{
	CodeBadStamp:        "samples with an impossible stamp were left out",
	CodeZeroSample:      "samples of 0 W, or next to nothing, of a device that always draws were taken as lost",
	CodeImplausible:     "samples of more power than there can be were taken as lost",
	CodeStampsBackwards: "samples older than their predecessor were left out",
	CodeDuplicate:       "repeated samples were left out",
	CodeConflict:        "samples with another value at the same stamp were left out, the first was kept",
	CodeBatchShape:      "samples of batches with unequal numbers of stamps and values were left out",
	CodeSequenceGap:     "batches are missing",
	CodeSequenceRepeat:  "batches arrived twice or out of order",
	CodeDropped:         "samples were lost by the source",
	CodeEpochBackwards:  "the counter epoch fell",
	CodeWatermark:       "samples or watermarks arrived behind the watermark",
}
