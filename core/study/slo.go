package study

import "fmt"

// SLO holds the limits of [slo], in ms; 0 = none. A request counts for goodput if it
// meets all that are set. They judge what was measured and change nothing of it, so
// they are no part of a cell's ID and cannot be varied.
type SLO struct{ TTFTMs, TPOTMs, E2EMs float64 }

var sloFields = []field[Study]{
	{key: "slo.ttft_ms", at: func(s *Study) any { return &s.SLO.TTFTMs }, above: zero, max: bound(1e9), fixed: true, doc: "Most time from the intended send (batches: their submission) to the first token, for goodput."},
	{key: "slo.tpot_ms", at: func(s *Study) any { return &s.SLO.TPOTMs }, above: zero, max: bound(1e9), fixed: true, doc: "Most time per output token after the first, for goodput."},
	{key: "slo.e2e_ms", at: func(s *Study) any { return &s.SLO.E2EMs }, above: zero, max: bound(1e9), fixed: true, doc: "Most time from the intended send (batches: their submission) to the last token, for goodput."},
}

// slo refuses a limit without effect: the first token never comes after the last.
func (r *reader) slo() {
	if s := r.study.SLO; s.E2EMs > 0 && s.TTFTMs > s.E2EMs {
		r.fail("slo.ttft_ms", fmt.Sprintf("%v ms is above e2e_ms = %v, and the first token never comes after the last", s.TTFTMs, s.E2EMs), "lower it, or take one of the two out")
	}
}
