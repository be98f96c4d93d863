package engine

import (
	"math"

	"github.com/llenergymeasure/llem/plugins/sim/internal/noise"
	"github.com/llenergymeasure/llem/sdk"
)

// timing is what a step costs: a fixed time, a time for each sequence in it
// and a time for each prompt token that it takes in. A sequence gets its first
// token at the end of the step that takes in its prompt.
type timing struct {
	stepUs, sequenceUs, prefillUs float64
	noiseRel                      float64
	seed                          int64
}

func newTiming(t sdk.Table) timing {
	return timing{
		stepUs: t.Float("step_us", 0), sequenceUs: t.Float("sequence_us", 0), prefillUs: t.Float("prefill_us", 0),
		noiseRel: t.Float("noise", 0), seed: t.Int("seed", 0),
	}
}

// costNs is the duration of the load's k-th step.
func (t timing) costNs(k int64, sequences, promptTokens int) int64 {
	us := t.stepUs + t.sequenceUs*float64(sequences) + t.prefillUs*float64(promptTokens)
	return max(1, int64(math.Round(us*1000*noise.Factor(t.seed, k, t.noiseRel))))
}
