package gate

import (
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/energy"
)

// Audit holds the energy of a headline domain against a second reading of the
// same device over one span, the Run or a window and what lies around it, such as the sample ring against the energy counter.
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
	RandomRel float64 `json:"random_rel,omitempty"`
	// AliasRel is what either may be off by for looking at part of the time only, a
	// half-width: a disagreement within it says nothing.
	AliasRel    float64 `json:"alias_rel,omitempty"`
	Method      string  `json:"method,omitempty"`
	CheckMethod string  `json:"check_method,omitempty"`
	// Code is counter_vs_power if they disagree beyond a limit, or why there is
	// no ratio; Reason says it in words.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`

	Warnings []energy.Warning `json:"-"`
}

// codeNoRatio: one of the two readings has no joules. codeTooBlunt: edges and gaps
// leave so much open that a disagreement would not show.
const (
	codeNoRatio  = "no_ratio"
	codeTooBlunt = "too_blunt"
)

// sharpRel is what may be open, as a standard deviation, from which on an audit is
// blunt. Over longNs a sharp one is taken at its word.
const (
	sharpRel = 0.02
	longNs   = int64(10e9)
)

// sharp tells whether a disagreement beyond the limits would show.
func (a Audit) sharp() bool { return a.openRel() < sharpRel }

// openRel is what the two readings leave open, as a standard deviation.
func (a Audit) openRel() float64 { return a.RandomRel + a.AliasRel/1.96 }

func (a Audit) blunt() string {
	return fmt.Sprintf("over %.1f s edges, gaps and time not looked at leave %.1f %% open (one standard deviation; below %v %% is sharp), so %s against %s proves nothing there",
		float64(a.ToNs-a.FromNs)/1e9, 100*a.openRel(), 100*sharpRel, a.Domain, a.Check)
}

// CompareWindow makes the audit of a window. A counter that is read every 10 s
// says little of a window between its reads; then the audit's span is from the
// last change of the counter before the window to the first after it, within the
// Run's two stamps.
func CompareWindow(domain, check *energy.Trace, fromNs, toNs int64, run [2]int64) Audit {
	a := Compare(domain, check, fromNs, toNs)
	if a.Ratio != nil && (a.sharp() || len(a.Warnings) > 0) {
		return a
	}
	from, to := around(check, fromNs, toNs)
	wide := Compare(domain, check, min(fromNs, max(from, run[0])), max(toNs, min(to, run[1])))
	if wide.Ratio == nil || a.Ratio != nil && !(wide.openRel() < a.openRel()) {
		return a
	}
	return wide
}

// around are the stamps of the changes next to a span, or the span's own where
// there is none.
func around(t *energy.Trace, fromNs, toNs int64) (from, to int64) {
	from, to = fromNs, toNs
	samples := t.Samples()
	for i, s := range samples {
		if i > 0 && s.Value == samples[i-1].Value && s.Epoch == samples[i-1].Epoch {
			continue
		}
		switch at := s.MonoNs - t.Domain.LagNs; {
		case at <= fromNs:
			from = at
		case at >= toNs:
			return from, at
		}
	}
	return from, to
}

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
	a.AliasRel = first.AliasRel + second.AliasRel
	// Gaps, and a counter that is read every 10 s, make the edges of a window of
	// any length uncertain.
	if known := a.sharp() && toNs-fromNs >= longNs; !known && math.Abs(ratio-1) <= 3*a.RandomRel+a.AliasRel {
		a.Warnings = nil
	}
	if len(a.Warnings) == 0 && !a.sharp() {
		a.Code, a.Reason = codeTooBlunt, a.blunt()
	}
	for _, w := range a.Warnings {
		a.Code, a.Reason = w.Code, w.Message
	}
	return a
}
