// Package gate judges whether a number may be believed. Each gate is a row of
// one table: what it looks at, from where on it speaks, how badly, and what to
// do about it. Judging is pure: the caller gathers the input, nothing is read
// or waited for here.
//
// A gate without its input is unknown. It never passes.
package gate

import (
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
)

// Scope is what a gate judges.
type Scope string

// The scopes.
const (
	// Static: how a device is set, before anything runs.
	Static Scope = "static"
	// Trial: what happened between Load and the end of the Run.
	Trial Scope = "trial"
	// Window: the measured span alone.
	Window Scope = "window"
	// Cell: the trials of one cell together; core/stats judges those.
	Cell Scope = "cell"
)

// Limit is a number from which on a gate speaks, with what it does then.
type Limit struct {
	Severity energy.Severity
	Value    float64
	Unit     string
}

// Gate is one row of the table.
type Gate struct {
	Code  string
	Scope Scope
	// Threshold in words; it names every number of Limits.
	Threshold string
	Limits    []Limit
	// Severities that a finding may have, mildest first.
	Severities []energy.Severity
	// Needs is the input without which the gate is unknown.
	Needs string
	// Advice is one line: what to type or to change. {gpu} and {default_w} stand
	// for the GPU's UUID and its default power limit.
	Advice string
	// Emitter is the package that finds it where that is not this one.
	Emitter string

	// judge looks at the input. It is nil where another package finds it and
	// nothing more is to be said before a trial.
	judge func(*judging)
	// needs tells of a gate with an Emitter whether that had its input.
	needs func(*judging)
}

// Finding is what a gate has to say.
type Finding struct {
	Code     string          `json:"code"`
	Severity energy.Severity `json:"severity"`
	// Message is one sentence with the numbers.
	Message string `json:"message"`
	// Subject is the id of the domain or device concerned, or "".
	Subject string `json:"subject,omitempty"`
	Advice  string `json:"advice"`
}

// Warning is the finding as it travels in results.
func (f Finding) Warning() energy.Warning {
	return energy.Warning{Code: f.Code, Severity: f.Severity, Message: f.Message, Domain: f.Subject}
}

// Verdict is what became of every gate. Each code stands in one place, but one
// that found something and could not look at everything is unknown, too.
type Verdict struct {
	Passed []string `json:"passed"`
	Found  []string `json:"found"`
	// Unknown gates lacked their input, with the reason.
	Unknown map[string]string `json:"unknown,omitempty"`
	// NotApplicable gates judge what this trial does not have, such as a GPU.
	NotApplicable []string `json:"not_applicable,omitempty"`

	// Findings of this package's own gates; those of other emitters are in the
	// input already. They are stored as the trial's warnings.
	Findings []Finding `json:"-"`
}

// Fatal tells whether a finding takes the trial out of rankings.
func (v Verdict) Fatal() bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Severity == energy.SeverityFatal })
}
