package phase

import (
	"fmt"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/stats"
)

// Span is one pass of a static batch: its begin, the moment when the first token
// of every sequence was on the device, and its end.
type Span struct {
	BeginNs, PrefillEndNs, EndNs int64
}

// LeastPeriods is how many update periods of the sensor a phase must last for
// its joules to be read off a trace.
const LeastPeriods = 10

// leastCoverage is the share of each side of a pass that samples must cover.
const leastCoverage = 0.95

// Aligned holds the joules on either side of the first tokens of some passes.
type Aligned struct {
	PrefillJ  float64 `json:"prefill_j"`
	DecodeJ   float64 `json:"decode_j"`
	PrefillNs int64   `json:"prefill_ns"`
	DecodeNs  int64   `json:"decode_ns"`
	// PrefillEdgeRel and DecodeEdgeRel are the modelled random errors of the joules,
	// one standard deviation: every pass has edges of its own.
	PrefillEdgeRel float64 `json:"prefill_edge_rel"`
	DecodeEdgeRel  float64 `json:"decode_edge_rel"`
	// PrefillStepRel and DecodeStepRel bound what the sensor moves from one phase to
	// the other because power steps at their edges: the same in every pass.
	PrefillStepRel float64 `json:"prefill_step_rel"`
	DecodeStepRel  float64 `json:"decode_step_rel"`
	// Warnings of the windows on either side, one for each code and domain.
	PrefillWarnings []energy.Warning `json:"prefill_warnings,omitempty"`
	DecodeWarnings  []energy.Warning `json:"decode_warnings,omitempty"`
}

// Align is the arithmetic of method B: it integrates each side of every pass over
// the traces of the headline, which are added up. It refuses passes that were not
// stamped, and phases that the sensor cannot resolve.
func Align(traces []*energy.Trace, passes []Span) (Aligned, error) {
	if len(passes) == 0 || len(traces) == 0 {
		return Aligned{}, fmt.Errorf("no passes of static batches")
	}
	var out Aligned
	prefill, decode := side{name: "prefill"}, side{name: "decode"}
	for k, p := range passes {
		if p.PrefillEndNs == 0 {
			return Aligned{}, fmt.Errorf("the backend does not stamp the end of prefill (it can for a single batch only)")
		}
		if p.PrefillEndNs <= p.BeginNs || p.EndNs <= p.PrefillEndNs {
			return Aligned{}, fmt.Errorf("a pass has no time on one side of its first tokens")
		}
		for _, t := range traces {
			shortest, name := p.PrefillEndNs-p.BeginNs, "prefill"
			if d := p.EndNs - p.PrefillEndNs; d < shortest {
				shortest, name = d, "decode"
			}
			period := t.PeriodNs()
			if shortest < LeastPeriods*period {
				return Aligned{}, fmt.Errorf("%s lasts %s, fewer than %d updates of %s (%s each)",
					name, energy.DurationText(shortest), LeastPeriods, t.Domain.ID, energy.DurationText(period))
			}
			switch d, known := t.Duty(); {
			case !known:
				return Aligned{}, fmt.Errorf("nobody knows for what share of the time %s looks", t.Domain.ID)
			case d < 1:
				return Aligned{}, fmt.Errorf("%s looks at %.0f %% of the time only", t.Domain.ID, 100*d)
			}
			before, err := t.Window(p.BeginNs, p.PrefillEndNs)
			if err != nil {
				return Aligned{}, err
			}
			after, err := t.Window(p.PrefillEndNs, p.EndNs)
			if err != nil {
				return Aligned{}, err
			}
			for _, part := range []energy.Window{before, after} {
				if part.Fatal() || part.CoverageRatio < leastCoverage {
					return Aligned{}, fmt.Errorf("samples cover %.0f %% of one side of a pass (%s), of %.0f %% that are needed", 100*part.CoverageRatio, t.Domain.ID, 100*leastCoverage)
				}
			}
			prefill.add(before)
			decode.add(after)
			e := edges(passes, k, t, before, after)
			prefill.stepsJ += e.beginJ + e.middleJ
			decode.stepsJ += e.middleJ + e.endJ
		}
		out.PrefillNs += p.PrefillEndNs - p.BeginNs
		out.DecodeNs += p.EndNs - p.PrefillEndNs
	}
	out.PrefillJ, out.PrefillEdgeRel, out.PrefillWarnings = prefill.energyJ, prefill.edgeRel(), prefill.warnings()
	out.DecodeJ, out.DecodeEdgeRel, out.DecodeWarnings = decode.energyJ, decode.edgeRel(), decode.warnings()
	out.PrefillStepRel, out.DecodeStepRel = prefill.stepsJ/prefill.energyJ, decode.stepsJ/decode.energyJ
	return out, nil
}

// AlignedWork is one window's aligned joules with its tokens.
type AlignedWork struct {
	Aligned
	Requests     float64
	PromptTokens float64
	OutputTokens float64
}

// FromAligned is method B over the windows of each load. Its estimates carry what
// the windows on their side say of edges, gaps and coverage. What steps of power at
// the phases' edges may move is added to the sensor's bounds.
func FromAligned(spec stats.Spec, loads [][]AlignedWork) Split {
	var prefill, decode [][]float64
	for _, windows := range loads {
		var p, d []float64
		for _, w := range windows {
			later := w.OutputTokens - w.Requests
			if later <= 0 || w.PromptTokens <= 0 {
				return refuse(Alignment, "a window has %.0f output tokens of %.0f requests; decode needs two or more each", w.OutputTokens, w.Requests)
			}
			p, d = append(p, w.PrefillJ/w.PromptTokens), append(d, w.DecodeJ/later)
		}
		prefill, decode = append(prefill, p), append(decode, d)
	}
	forPrefill, forDecode := specs(spec)
	forPrefill.EdgeRel = worstEdge(loads, func(w AlignedWork) float64 { return w.PrefillEdgeRel })
	forDecode.EdgeRel = worstEdge(loads, func(w AlignedWork) float64 { return w.DecodeEdgeRel })
	forPrefill.SystematicRel = withSteps(spec.SystematicRel, loads, func(w AlignedWork) float64 { return w.PrefillStepRel })
	forDecode.SystematicRel = withSteps(spec.SystematicRel, loads, func(w AlignedWork) float64 { return w.DecodeStepRel })
	s := summarized(Alignment, forPrefill, prefill, forDecode, decode)
	if s.Method != "" {
		carry(s.Prefill, loads, func(w AlignedWork) []energy.Warning { return w.PrefillWarnings })
		carry(s.Decode, loads, func(w AlignedWork) []energy.Warning { return w.DecodeWarnings })
	}
	return s
}

// NotAligned is method B's Split where a trial says why it has no aligned joules.
func NotAligned(reason string) Split { return refuse(Alignment, "%s", reason) }
