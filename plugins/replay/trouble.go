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
	lost, silent := []loss{}, []loss{}
	for _, g := range r.Gaps {
		if g.Lost > 0 {
			lost = append(lost, loss{atNs: g.FromNs, dropped: g.Lost})
		} else {
			silent = append(silent, loss{atNs: g.FromNs, skipped: 1})
		}
	}
	t.losses = append(t.losses, place(lost, r.Gaps, problems[codeDropped], func(l *loss) *uint64 { return &l.dropped })...)
	_, skips := problems[codeSkipped]
	if shape, ok := problems[codeShape]; ok && !skips {
		for i := range silent {
			silent[i].skipped, silent[i].bare = 0, 1
		}
		t.losses = append(t.losses, place(silent, r.Gaps, shape, func(l *loss) *uint64 { return &l.bare })...)
	} else {
		t.losses = append(t.losses, place(silent, r.Gaps, problems[codeSkipped], func(l *loss) *uint64 { return &l.skipped })...)
	}
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
	ends := []int64{p.FirstNs, p.LastNs}
	if p.FirstNs == p.LastNs {
		ends = ends[:1]
	}
	taken := -1 // by the first end
	for _, at := range ends {
		i := slices.IndexFunc(list, func(l loss) bool { return inGap(gaps, l.atNs, at) })
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

// inGap tells whether both stamps lie between the same two samples.
func inGap(gaps []gap, a, b int64) bool {
	return slices.ContainsFunc(gaps, func(g gap) bool { return g.FromNs <= min(a, b) && max(a, b) < g.ToNs })
}
