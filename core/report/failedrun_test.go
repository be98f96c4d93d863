package report

import (
	"math"
	"testing"

	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// Work on requests that were not answered is in a Run's joules: beyond a small share
// of them it is no point of the fit, and the fit tells.
func TestRunsWithFailedRequestsAreNotFitted(t *testing.T) {
	const odd = 7
	for want, change := range map[string]func(*result.Run){
		"": func(r *result.Run) { r.Failed = r.Requests / 100 },
		"41 of 4000 requests of the whole Run failed (at most 1 %), and how much the engine worked on them is not known": func(r *result.Run) { r.Failed = r.Requests/100 + 1 },
		"the whole Run was broken off with requests in flight, and how much the engine worked on them is not known":      func(r *result.Run) { r.Reason = sdk.FinishAborted },
		"the engine preempted 3 requests in the whole Run, and what it computed again is in no counter": func(r *result.Run) {
			before, after := int64(2), int64(5)
			r.Before.Preemptions, r.After.Preemptions = &before, &after
		},
	} {
		list := fittedStudy(1, 8)
		list[odd].Run.Requests *= 100
		for _, c := range []*sdk.Counters{list[odd].Run.Before, list[odd].Run.After} {
			*c.PromptTokens, *c.OutputTokens, *c.CachedPromptTokens, *c.EngineSteps = 100**c.PromptTokens, 100**c.OutputTokens, 100**c.CachedPromptTokens, 100**c.EngineSteps
		}
		*list[odd].Run.EnergyJ, list[odd].Run.EndNs = 100**list[odd].Run.EnergyJ, 100*list[odd].Run.EndNs
		change(list[odd].Run)
		for _, c := range Summarize(list, nil, Options{}).Cells {
			if f := c.Phase.Fit; f == nil || f.LeftOutWhy != want || (f.LeftOut == 1) != (want != "") {
				t.Errorf("%s: %+v, want %q: %s", c.Label, f, want, c.Phase.Reason())
			}
		}
	}
}

// What the allowed share does where it is the same in all Runs: the failed ones were
// prefilled and gave half of their output.
func TestTheAllowedShareOfFailedRequestsMovesLittle(t *testing.T) {
	const perToken, perContext, scale = 0.05, 4e-5, 100
	list, contexts := fittedStudy(1, 8), map[string]float64{}
	for i := range list {
		r := list[i].Run
		requests := float64(scale * r.Requests)
		prompt := float64(*r.After.PromptTokens-*r.Before.PromptTokens) / float64(r.Requests)
		output := float64(*r.After.OutputTokens-*r.Before.OutputTokens) / float64(r.Requests)
		steps, cached := *r.After.EngineSteps-*r.Before.EngineSteps, *r.After.CachedPromptTokens-*r.Before.CachedPromptTokens
		failed := mostFailedRel * requests
		decoded := (requests-failed)*(output-1) + failed*(output/2-1)
		read := (requests-failed)*(output-1)*(prompt+output/2) + failed*(output/2-1)*(prompt+output/4)
		r.EndNs *= scale
		*r.EnergyJ = 130*float64(r.EndNs)/1e9 + scale*(0.4*float64(steps)-0.02*float64(cached)) + 0.02*requests*prompt + perToken*decoded + perContext*read
		r.Requests, r.Failed = int64(requests), int64(math.Round(failed))
		r.Before = &sdk.Counters{EngineSteps: ptr[int64](0), PromptTokens: ptr[int64](0), OutputTokens: ptr[int64](0), CachedPromptTokens: ptr[int64](0)}
		r.After = &sdk.Counters{EngineSteps: ptr(scale * steps), PromptTokens: ptr(int64(requests * prompt)), OutputTokens: ptr(int64(requests*output - failed*output/2)), CachedPromptTokens: ptr(scale * cached)}
		contexts[list[i].Cell.ID] = prompt + output/2
		for w := range list[i].Windows {
			list[i].Windows[w].Requests, list[i].Windows[w].PromptTokens, list[i].Windows[w].OutputTokens = 2, int64(2*prompt), int64(2*output)
		}
	}
	worst := 0.0
	for _, c := range Summarize(list, nil, Options{}).Cells {
		if c.Phase.Method != phase.Regression || c.Phase.Fit.LeftOut != 0 {
			t.Fatalf("%s: %+v %s", c.Label, c.Phase.Fit, c.Phase.Reason())
		}
		if off := math.Abs(c.Phase.Prefill.Centre/0.02 - 1); off > 0.001 {
			t.Errorf("%s: prefill is %.3f %% off", c.Label, 100*off)
		}
		worst = max(worst, math.Abs(c.Phase.Decode.Centre/(perToken+perContext*contexts[c.ID])-1))
	}
	if worst > 0.007 {
		t.Errorf("decode is %.3f %% off", 100*worst)
	}
}
