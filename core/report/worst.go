package report

import (
	"math"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// How bad a warning is among others of its code, the greater the worse, from
// the record's own numbers; nil where the record has none for it.

// farness of a statistic's doubt.
func farness(value *float64) *float64 {
	if value == nil {
		return nil
	}
	v := math.Abs(*value)
	return &v
}

// badnessOfTrial weighs warnings about a trial's windows by the worst of them.
func badnessOfTrial(t result.Trial, w energy.Warning) *float64 {
	var worst *float64
	for _, window := range t.Windows {
		var v float64
		switch w.Code {
		case "window_short":
			v = -float64(window.DurationNs())
		case "requests_failed":
			v = float64(window.Failed) / float64(max(1, window.Requests))
		default:
			return nil
		}
		if worst == nil || v > *worst {
			worst = &v
		}
	}
	return worst
}

// badnessInWindow weighs warnings about one domain's samples.
func badnessInWindow(window result.Window, w energy.Warning) *float64 {
	if w.Code != energy.CodeLowCoverage {
		return nil
	}
	for _, d := range window.Domains {
		if d.DomainID == w.Domain {
			v := 1 - d.Window.CoverageRatio
			return &v
		}
	}
	return nil
}
