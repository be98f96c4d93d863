package result

// Phases are the headline's joules and time on either side of the first tokens
// of the passes in a window; what lies between two passes is in neither.
type Phases struct {
	PrefillJ  float64 `json:"prefill_j"`
	DecodeJ   float64 `json:"decode_j"`
	PrefillNs int64   `json:"prefill_ns"`
	DecodeNs  int64   `json:"decode_ns"`
}

// Idle is the stretch with the model loaded and no request.
type Idle struct {
	FromNs int64 `json:"from_ns"`
	ToNs   int64 `json:"to_ns"`
}
