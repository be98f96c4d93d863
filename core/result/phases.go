package result

import "github.com/llenergymeasure/llem/core/energy"

// Phases are the headline's joules and time on either side of the first tokens
// of the passes in a window; what lies between two passes is in neither.
type Phases struct {
	PrefillJ  float64 `json:"prefill_j"`
	DecodeJ   float64 `json:"decode_j"`
	PrefillNs int64   `json:"prefill_ns"`
	DecodeNs  int64   `json:"decode_ns"`
	// PrefillEdgeRel and DecodeEdgeRel are the modelled random errors of the joules,
	// one standard deviation; 0 in records that do not tell.
	PrefillEdgeRel float64 `json:"prefill_edge_rel"`
	DecodeEdgeRel  float64 `json:"decode_edge_rel"`
	// PrefillStepRel and DecodeStepRel bound what the sensor moves from one phase to
	// the other because power steps at their edges; 0 in records that do not tell.
	PrefillStepRel float64 `json:"prefill_step_rel"`
	DecodeStepRel  float64 `json:"decode_step_rel"`
	// Warnings of the stretches on either side, one for each code and domain.
	PrefillWarnings []energy.Warning `json:"prefill_warnings,omitempty"`
	DecodeWarnings  []energy.Warning `json:"decode_warnings,omitempty"`
}

// Idle is the stretch with the model loaded and no request.
type Idle struct {
	FromNs int64 `json:"from_ns"`
	ToNs   int64 `json:"to_ns"`
}
