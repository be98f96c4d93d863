package energy

import (
	"fmt"
	"slices"
)

// Problem is one kind of trouble met in a recording, counted.
type Problem struct {
	// Code is that of the warning it becomes.
	Code  string `json:"code"`
	Count uint64 `json:"count"`
	// FirstNs and LastNs are the stamps between which it was met.
	FirstNs int64 `json:"first_ns"`
	LastNs  int64 `json:"last_ns"`
}

// Problems lists what was wrong with the recording, in the order in which it was
// first met.
func (t *Trace) Problems() []Problem {
	var out []Problem
	for _, p := range t.problems {
		out = append(out, Problem{p.code, p.count, p.firstNs, p.lastNs})
	}
	return out
}

// Stored is a Trace as it lies on disk.
type Stored struct {
	Domain          Domain
	CompleteUntilNs int64
	Dropped         uint64
	// PeriodNs is the Trace's own; 0 = take it from the domain or the samples,
	// which gives another one where only a part was stored.
	PeriodNs int64
	Samples  []Sample
	Gaps     []Gap
	Problems []Problem
}

// Restore makes a Trace of what was stored of one, or of a part of one. Its
// windows are those of the Trace that it was, to the last bit. Samples and gaps
// that no Trace could have had are refused.
func Restore(s Stored) (*Trace, error) {
	b, err := NewBuilder(s.Domain)
	if err != nil {
		return nil, err
	}
	for i, x := range s.Samples {
		if x.MonoNs < 0 || i > 0 && x.MonoNs <= s.Samples[i-1].MonoNs {
			return nil, fmt.Errorf("restore the recording of %q: sample %d, stamped %d ns, is out of order", s.Domain.ID, i, x.MonoNs)
		}
	}
	for i, g := range s.Gaps {
		if g.ToNs <= g.FromNs || i > 0 && g.FromNs < s.Gaps[i-1].ToNs {
			return nil, fmt.Errorf("restore the recording of %q: the gap at %d ns is out of order", s.Domain.ID, g.FromNs)
		}
	}
	b.samples, b.gaps = s.Samples, slices.Clip(s.Gaps)
	for _, x := range s.Samples {
		b.suspicion.look(s.Domain, x.Value)
	}
	b.dropped, b.completeUntil = s.Dropped, s.CompleteUntilNs
	for _, p := range s.Problems {
		b.problems = append(b.problems, problem{code: p.Code, count: p.Count, firstNs: p.FirstNs, lastNs: p.LastNs})
	}
	if s.Domain.UpdateNs == 0 {
		b.periodNs = s.PeriodNs
	}
	return b.Snapshot(), nil
}
