// Package phase splits joules between prefill and decode, after the trials are
// on disk. It is arithmetic on what the records hold, so a split can be made
// again at any time.
//
// Three methods, each with its letter; nothing is guessed where none is valid:
//
//	A  subtraction  probe trials with one output token against the full ones
//	B  alignment    static batches: joules on either side of each pass's first token
//	E  regression   joules of many shapes on time, engine steps and tokens
//
// B looks at the phases themselves and comes first; A needs probe trials; E gives
// marginal costs that hold for the shapes sampled and for no other. Joules of a
// continuous batch that mixes both phases in one kernel have no split but E's.
package phase

import (
	"fmt"
	"strings"

	"github.com/llenergymeasure/llem/core/stats"
)

// Method of a split, by its letter.
type Method string

// The methods.
const (
	Subtraction Method = "A"
	Alignment   Method = "B"
	Regression  Method = "E"
)

// Metrics of a Split's estimates.
const (
	// MetricPrefill is J per prompt token. The first output token belongs to
	// prefill.
	MetricPrefill = "prefill_energy_per_prompt_token"
	// MetricDecode is J per output token after the first of each request.
	MetricDecode = "decode_energy_per_output_token"
)

// Split is what is known of a cell's two phases.
type Split struct {
	// Method is empty where no method was valid; Refused then says why.
	Method Method `json:"method,omitempty"`
	// Prefill and Decode carry the random interval and the sensor's part.
	Prefill *stats.Estimate `json:"prefill,omitempty"`
	Decode  *stats.Estimate `json:"decode,omitempty"`
	// LeaveOutRel is the error of the fit on a shape that it has not seen (E).
	LeaveOutRel *float64 `json:"leave_out_rel,omitempty"`
	// Fit is all that the regression came to (E).
	Fit *Fit `json:"fit,omitempty"`
	// Refused says why a method gave nothing, by its letter.
	Refused map[Method]string `json:"refused,omitempty"`
}

// Choose takes the first valid of the splits, which stand in the order of
// preference, and keeps the reasons of those that gave nothing.
func Choose(splits ...Split) Split {
	out := Split{Refused: map[Method]string{}}
	for _, s := range splits {
		for method, reason := range s.Refused {
			out.Refused[method] = reason
		}
		if out.Method == "" && s.Method != "" {
			out.Method, out.Prefill, out.Decode, out.LeaveOutRel, out.Fit = s.Method, s.Prefill, s.Decode, s.LeaveOutRel, s.Fit
		}
	}
	if len(out.Refused) == 0 {
		out.Refused = nil
	}
	return out
}

// Reason says in one sentence why there is no split.
func (s Split) Reason() string {
	var parts []string
	for _, m := range []Method{Alignment, Subtraction, Regression} {
		if reason := s.Refused[m]; reason != "" {
			parts = append(parts, fmt.Sprintf("%s: %s", m, reason))
		}
	}
	return strings.Join(parts, "; ")
}

// refuse is a Split of one method that gives nothing.
func refuse(m Method, format string, args ...any) Split {
	return Split{Refused: map[Method]string{m: fmt.Sprintf(format, args...)}}
}

// specs are the two estimates' names with the boundary and sensor of spec.
func specs(spec stats.Spec) (prefill, decode stats.Spec) {
	prefill, decode = spec, spec
	prefill.Metric, prefill.Unit = MetricPrefill, "J/token"
	decode.Metric, decode.Unit = MetricDecode, "J/token"
	prefill.EdgeRel, decode.EdgeRel = nil, nil
	return prefill, decode
}
