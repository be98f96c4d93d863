package energy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A window without joules says that samples are missing, and only the recording says
// what became of them: its doubts, which a window with joules has as warnings, go
// with the error.

// behindNs is how far behind the last good sample those may be stamped that were left
// out in its wake: a source that repeats itself, or goes back in time, stamps them in
// the past, by as much as a driver keeps (2.4 s on an H100) and more.
const behindNs = int64(5e9)

// diagnose adds to the error of a window what its recording says of the time from the
// last good sample before the window to its end.
func (q *query) diagnose(err error) error {
	var failed *WindowError
	if !errors.As(err, &failed) || failed.Code == CodeBadSpan || len(failed.Warnings) > 0 {
		return err
	}
	from, to := q.from, q.to+q.t.Domain.shiftNs()+q.t.periodNs
	if i := q.t.lastAt(from); i >= 0 {
		from = q.t.samples[i].MonoNs
	}
	met := refusedProblems(q.t.refusedIn(from, to))
	for _, p := range q.t.problems {
		if p.lastNs >= from-behindNs && p.firstNs <= to {
			met = append(met, p)
		}
	}
	for _, p := range met {
		failed.Warnings = append(failed.Warnings, p.warning(q.t.Domain.ID))
	}
	switch failed.Code { // the others name their own cause
	case CodeNotCovered, CodeNoSamples, CodeIncomplete:
		if cause := telling(met); cause != "" {
			failed.Detail += "; " + cause
		}
	}
	return err
}

// telling is what of the problems explains best that samples are missing: those that
// arrived and were not used, else what was met most; "" for none.
func telling(met []problem) string {
	met = slices.Clone(met)
	slices.SortFunc(met, func(a, b problem) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.code, b.code))
	})
	var codes []string
	var unused uint64
	for _, p := range met {
		switch p.code {
		case CodeBadStamp, CodeStampsBackwards, CodeDuplicate, CodeConflict, CodeBatchShape, CodeZeroSample, CodeImplausible:
			codes, unused = append(codes, p.code), unused+p.count
		}
	}
	switch {
	case unused > 0:
		return fmt.Sprintf("%d samples were left out: %s", unused, strings.Join(codes, ", "))
	case len(met) > 0:
		return fmt.Sprintf("%s: %d, %s", problemWords[met[0].code], met[0].count, met[0].code)
	}
	return ""
}
