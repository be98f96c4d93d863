package gate

import (
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/energy"
)

// Audit holds the energy of a headline domain against a second reading of the
// same device over one span, such as the sample ring against the energy counter.
// Its ratio is never applied as a correction. Both readings sit behind one
// sensor: agreement proves the sampling and says nothing of the gain.
type Audit struct {
	Domain string `json:"domain"`
	Check  string `json:"check"`
	FromNs int64  `json:"from_ns"`
	ToNs   int64  `json:"to_ns"`
	// Ratio of the joules, domain by check; nil if one of them has none.
	Ratio *float64 `json:"ratio"`
	// RandomRel is what the edges of both make the ratio uncertain by, one
	// standard deviation.
	RandomRel   float64 `json:"random_rel,omitempty"`
	Method      string  `json:"method,omitempty"`
	CheckMethod string  `json:"check_method,omitempty"`
	// Code is counter_vs_power if they disagree beyond a limit, or why there is
	// no ratio; Reason says it in words.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`

	Warnings []energy.Warning `json:"-"`
}

// codeNoRatio: one of the two readings has no joules.
const codeNoRatio = "no_ratio"

// Compare makes the audit of one span. A domain that cannot be computed there is
// a reason and no error.
func Compare(domain, check *energy.Trace, fromNs, toNs int64) Audit {
	a := Audit{Domain: domain.Domain.ID, Check: check.Domain.ID, FromNs: fromNs, ToNs: toNs}
	no := func(err error) Audit {
		a.Code, a.Reason = codeNoRatio, err.Error()
		return a
	}
	first, err := domain.Window(fromNs, toNs)
	if err != nil {
		return no(fmt.Errorf("no energy to be checked: %w", err))
	}
	second, err := check.Window(fromNs, toNs)
	if err != nil {
		return no(fmt.Errorf("no energy to check by: %w", err))
	}
	a.Method, a.CheckMethod = first.Method, second.Method
	ratio, warnings, err := energy.CrossCheck(first, second)
	if err != nil {
		return no(err)
	}
	a.Ratio, a.Warnings = &ratio, warnings
	a.RandomRel = math.Hypot(first.RandomRel, second.RandomRel)
	// Gaps, and a counter that is read every 10 s, make the edges of a window of
	// any length uncertain.
	if math.Abs(ratio-1) <= 3*a.RandomRel {
		a.Warnings = nil
		return a
	}
	for _, w := range a.Warnings {
		a.Code, a.Reason = w.Code, w.Message
	}
	return a
}
