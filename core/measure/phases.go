package measure

import (
	"errors"
	"fmt"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// phases splits a window's joules at the first tokens of its passes, or says why
// it cannot.
func (t *trial) phases(c cut, passes []sdk.PassRecord, traces map[string]*energy.Trace) (*result.Phases, string) {
	if t.spec("").Loop != sdk.LoopBatch {
		return nil, "requests in flight mix both phases; static batches have them apart"
	}
	if t.cell.Workload.OutputTokens == 1 {
		return nil, "one output token is all prefill"
	}
	var spans []phase.Span
	for _, p := range passes {
		if p.BeginNs >= c.FromNs && p.EndNs <= c.ToNs {
			spans = append(spans, phase.Span{BeginNs: p.BeginNs, PrefillEndNs: p.PrefillEndNs, EndNs: p.EndNs})
		}
	}
	headline, err := t.headlineTraces(traces)
	if err != nil {
		return nil, err.Error()
	}
	aligned, err := phase.Align(headline, spans)
	if err != nil {
		return nil, err.Error()
	}
	out := result.Phases(aligned)
	return &out, ""
}

// runEnergy is the headline's energy over a whole Run; nil where a domain of it
// does not cover the Run. Fits over many shapes rest on it.
func (t *trial) runEnergy(run result.Run, traces map[string]*energy.Trace) *float64 {
	headline, err := t.headlineTraces(traces)
	if err != nil {
		return nil
	}
	sum := 0.0
	for _, trace := range headline {
		w, err := trace.Window(run.BeginNs, run.EndNs)
		if err != nil || w.Fatal() {
			return nil
		}
		sum += w.EnergyJ
	}
	return &sum
}

// headlineTraces are the recordings that make the headline.
func (t *trial) headlineTraces(traces map[string]*energy.Trace) ([]*energy.Trace, error) {
	var out []*energy.Trace
	for _, id := range t.record.Headline {
		trace := traces[id]
		if trace == nil {
			return nil, fmt.Errorf("the headline's domain %s has no recording", id)
		}
		out = append(out, trace)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no headline")
	}
	return out, nil
}
