package main

import (
	"fmt"
	"math"
)

// figure is one value reached, beside what was asked for.
type figure struct {
	target string // T1, T2, ... of the table of targets
	name   string
	value  float64
	format string // of the value with its unit, such as "%.2f %%"
	lo, hi float64
	// interval of the value, at 95 %; nil = none is stated. The figure is judged by its
	// value, and the verdict says where the interval reaches beyond the target.
	interval *[2]float64
	note     string
	// excuse says why the target need not be reached, "" = it must; see excuses.
	excuse string
	// unmeasured: there is no value yet, which misses the target.
	unmeasured bool
}

// off reports whether the value is outside its limits.
func (f figure) off() bool {
	return f.unmeasured || f.aimed() && !(f.value >= f.lo && f.value <= f.hi)
}

// open reports whether the target is reached by the value and not by all of its interval.
func (f figure) open() bool {
	return f.aimed() && !f.off() && f.interval != nil && !(f.interval[0] >= f.lo && f.interval[1] <= f.hi)
}

// missed reports whether that is a failure. A figure without limits is shown to be
// known and is never missed.
func (f figure) missed() bool { return f.off() && f.excuse == "" }

func (f figure) aimed() bool { return f.lo != 0 || f.hi != 0 }

func (f figure) shown() string {
	if f.unmeasured {
		return "not measured yet"
	}
	return fmt.Sprintf(f.format, f.value)
}

// limit is the target in words.
func (f figure) limit() string {
	switch {
	case !f.aimed():
		return ""
	case math.IsInf(f.lo, -1):
		return "<= " + fmt.Sprintf(f.format, f.hi)
	case math.IsInf(f.hi, 1):
		return ">= " + fmt.Sprintf(f.format, f.lo)
	}
	return fmt.Sprintf(f.format, f.lo) + " to " + fmt.Sprintf(f.format, f.hi)
}

func (f figure) verdict() string {
	switch {
	case !f.aimed():
		return ""
	case f.missed():
		return "MISSED"
	case f.off():
		return "not reached, excused"
	case f.open():
		return "estimate reached, interval not"
	}
	return "reached"
}

// remark is the verdict with what is to be said besides.
func (f figure) remark() string {
	interval := ""
	if f.interval != nil {
		interval = fmt.Sprintf("95 %% interval "+f.format+" to "+f.format, f.interval[0], f.interval[1])
	}
	return joined(joined(f.verdict(), interval), f.note)
}

func (f figure) String() string {
	return fmt.Sprintf("%-8s%-66s %12s  %-22s %s", f.target, f.name, f.shown(), f.limit(), f.remark())
}

// atMost, atLeast and within give a figure its target.
func (f figure) atMost(hi float64) figure     { f.lo, f.hi = math.Inf(-1), hi; return f }
func (f figure) atLeast(lo float64) figure    { f.lo, f.hi = lo, math.Inf(1); return f }
func (f figure) within(lo, hi float64) figure { f.lo, f.hi = lo, hi; return f }
func percent(target, name string, rel float64) figure {
	return figure{target: target, name: name, value: 100 * rel, format: "%.2f %%"}
}

// ofStudies is a share of the studies in percent.
func (e effort) ofStudies(target, name string, hits int) figure {
	return percent(target, name, float64(hits)/float64(e.studies))
}

// slack is what to add to a limit on a share of studies near p, in percent: three of
// the standard errors that fewer studies than the full number bring.
func (e effort) slack(p float64) float64 {
	extra := p * (1 - p) * (1/float64(e.studies) - 1.0/fullStudies)
	return 300 * math.Sqrt(max(0, extra))
}
