package main

import (
	"cmp"
	"slices"
)

// A recording keeps what was wrong with its stream as gaps and as problems:
// counts with the first and the last place. They are played as faults that make
// a recorder count the same again.

// loss comes before the next sample behind atNs, with the watermark at atNs.
type loss struct {
	atNs    int64
	dropped uint64 // samples that the source says it lost
	skipped uint64 // batches that never came
	again   uint64 // batches that came twice
	bare    uint64 // stamps without a value
}

// echo is a sample that should not be, after the first sample at or behind atNs.
type echo struct {
	atNs  int64
	count uint64
	code  string
}

// Codes of problems, as results have them.
const (
	codeDropped   = "samples_dropped"
	codeSkipped   = "sequence_gap"
	codeAgain     = "sequence_repeat"
	codeShape     = "batch_shape"
	codeDuplicate = "duplicate_sample"
	codeConflict  = "conflicting_sample"
	codeBackwards = "stamps_backwards"
	codeBadStamp  = "implausible_stamp"
	codeWatermark = "watermark_broken"
)

// troubles of one domain, rising in time.
type troubles struct {
	losses []loss
	echoes []echo
	marks  []echo // watermarks that fell; they come at the end
}

func newTroubles(r recording) troubles {
	var t troubles
	problems := map[string]problem{}
	for _, p := range r.Problems {
		problems[p.Code] = p
		ends := []echo{{p.FirstNs, max(p.Count, 1), p.Code}}
		if p.LastNs != p.FirstNs {
			ends[0].count = max(p.Count, 2) - 1
			ends = append(ends, echo{p.LastNs, 1, p.Code})
		}
		switch p.Code {
		case codeDuplicate, codeConflict, codeBackwards, codeBadStamp:
			t.echoes = append(t.echoes, ends...)
		case codeWatermark:
			t.marks = append(t.marks, ends...)
		case codeAgain:
			for _, e := range ends {
				t.losses = append(t.losses, loss{atNs: e.atNs, again: e.count})
			}
		}
	}
	lost, silent := []loss{}, []gap{}
	for _, g := range r.Gaps {
		if g.Lost > 0 {
			lost = append(lost, loss{atNs: g.FromNs, dropped: g.Lost})
		} else {
			silent = append(silent, g)
		}
	}
	skips, shapes := problems[codeSkipped], problems[codeShape]
	skipped, bare := divide(silent, skips, shapes)
	t.losses = append(t.losses, place(lost, r.Gaps, problems[codeDropped], func(l *loss) *uint64 { return &l.dropped })...)
	t.losses = append(t.losses, place(skipped, r.Gaps, skips, func(l *loss) *uint64 { return &l.skipped })...)
	t.losses = append(t.losses, place(bare, r.Gaps, shapes, func(l *loss) *uint64 { return &l.bare })...)
	slices.SortStableFunc(t.losses, func(a, b loss) int { return cmp.Compare(a.atNs, b.atNs) })
	late := func(e echo) bool { return e.code == codeBackwards }
	slices.SortStableFunc(t.echoes, func(a, b echo) int {
		if a.atNs == b.atNs && late(a) != late(b) {
			if late(a) {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.atNs, b.atNs)
	})
	return t
}

// divide tells gaps of batches that never came from gaps of batches without
// values, as far as counts and places of the two problems allow it.
func divide(silent []gap, skips, shapes problem) (skipped, bare []loss) {
	mustSkip := func(g gap) bool { return shapes.Count == 0 || g.holdsEnd(skips) || !g.touches(shapes) }
	budget := int64(skips.Count) - int64(len(skips.ends()))
	for _, g := range silent {
		if mustSkip(g) && !g.holdsEnd(skips) {
			budget--
		}
	}
	for _, g := range silent {
		spend := !mustSkip(g) && budget > 0 && g.touches(skips) && !g.holdsEnd(shapes)
		if spend {
			budget--
		}
		if spend || mustSkip(g) {
			skipped = append(skipped, loss{atNs: g.FromNs, skipped: 1})
		} else {
			bare = append(bare, loss{atNs: g.FromNs, bare: 1})
		}
	}
	return skipped, bare
}

// place moves the losses so that the first and the last are where the problem
// has them, and adds what was lost before the first sample or behind the last.
func place(list []loss, gaps []gap, p problem, amount func(*loss) *uint64) []loss {
	if p.Count == 0 {
		return list
	}
	total := uint64(0)
	for i := range list {
		total += *amount(&list[i])
	}
	taken := -1 // by the first end
	for _, at := range p.ends() {
		g := gapAt(gaps, at)
		i := slices.IndexFunc(list, func(l loss) bool { return g.FromNs <= l.atNs && l.atNs < g.ToNs })
		switch {
		case i >= 0 && i != taken:
			list[i].atNs, taken = at, i
			continue
		case i >= 0 && *amount(&list[i]) > 1: // both in one gap
			*amount(&list[i])--
		default:
			total++
		}
		extra := loss{atNs: at}
		*amount(&extra) = 1
		list = append(list, extra)
	}
	if p.Count > total {
		first := slices.IndexFunc(list, func(l loss) bool { return l.atNs == p.FirstNs })
		*amount(&list[first]) += p.Count - total
	}
	return list
}

// ends are the places that a problem names.
func (p problem) ends() []int64 {
	if p.FirstNs == p.LastNs {
		return []int64{p.FirstNs}
	}
	return []int64{p.FirstNs, p.LastNs}
}

// touches tells whether the problem may have been met in the gap.
func (g gap) touches(p problem) bool {
	return p.Count > 0 && p.FirstNs < g.ToNs && g.FromNs <= p.LastNs
}

func (g gap) holdsEnd(p problem) bool {
	return p.Count > 0 && (g.FromNs <= p.FirstNs && p.FirstNs < g.ToNs || g.FromNs <= p.LastNs && p.LastNs < g.ToNs)
}

// gapAt is the gap that a stamp lies in; its zero value is none.
func gapAt(gaps []gap, ns int64) gap {
	i := slices.IndexFunc(gaps, func(g gap) bool { return g.FromNs <= ns && ns < g.ToNs })
	if i < 0 {
		return gap{}
	}
	return gaps[i]
}
