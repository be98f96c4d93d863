package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/sdk"
)

// Probe is a cell that was measured for others, to split their joules. It is in
// no table and no comparison.
type Probe struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	Boundary    string `json:"boundary"`
	Trials      int    `json:"trials"`
	Excluded    int    `json:"excluded"`
	Failed      int    `json:"failed"`
	Interrupted int    `json:"interrupted,omitempty"`
}

// split gives every cell its phases: by alignment, else by subtraction, else by
// regression, or all reasons why not. A cell that was asked for may be the probe
// of another.
func split(cells, probes []Cell) {
	all := append(cells[:len(cells):len(cells)], probes...)
	fits := fitAll(all)
	for i := range cells {
		c := &cells[i]
		if len(c.loads) == 0 {
			continue
		}
		s := phase.Choose(c.aligned(), c.subtracted(all), c.fitted(fits))
		c.Phase = &s
	}
}

// phaseSpec is common to the estimates of a cell's phases.
func (c Cell) phaseSpec() stats.Spec {
	return stats.Spec{Boundary: c.Boundary, SystematicRel: worst(c.loads, headlineSystematic), Seed: seed("phase")}
}

// aligned is method B over the windows of each load.
func (c Cell) aligned() phase.Split {
	loads := make([][]phase.AlignedWork, len(c.loads))
	for i, t := range c.loads {
		for _, w := range t.Windows {
			if w.Phases == nil {
				return phase.NotAligned(cmp.Or(w.PhasesAbsent, "its windows were stored without phases"))
			}
			loads[i] = append(loads[i], phase.AlignedWork{
				Aligned: phase.Aligned(*w.Phases), Requests: float64(w.Requests),
				PromptTokens: float64(w.PromptTokens), OutputTokens: float64(w.OutputTokens),
			})
		}
	}
	return phase.FromAligned(c.phaseSpec(), loads)
}

// subtracted is method A, with the probe that ran under the same boundary.
func (c Cell) subtracted(all []Cell) phase.Split {
	probe := map[int]phase.Work{}
	asked := false // for probes by the study
	for _, p := range all {
		asked = asked || p.probeID != ""
		if c.probeID != "" && p.ID == c.probeID && p.Boundary == c.Boundary && p.Model == c.Model {
			probe = p.works()
		}
	}
	if asked && c.probeID == "" {
		return phase.NotSubtracted("it has no probe, as those with natural lengths, one output token or an open loop")
	}
	return phase.Subtract(c.phaseSpec(), c.works(), probe)
}

// works holds the sums over the windows of each load, by block.
func (c Cell) works() map[int]phase.Work {
	out := map[int]phase.Work{}
	for _, t := range c.loads {
		var sum phase.Work
		for _, w := range t.Windows {
			energy := math.NaN() // which makes the sum unusable
			if w.EnergyJ != nil {
				energy = *w.EnergyJ
			}
			sum.EnergyJ += energy
			sum.Requests += float64(w.Requests)
			sum.PromptTokens += float64(w.PromptTokens)
			sum.OutputTokens += float64(w.OutputTokens)
		}
		out[t.Block] = sum
	}
	return out
}

// fit is what one deployment's regression came to.
type fit struct {
	points []phase.Point
	doubt  error // why a trial gave no point
	left   int   // trials that gave none
	fit    phase.Fit
	err    error
}

// fitAll makes the regression of every deployment: one plugin, its parameters and
// model, under one boundary on one card. Its cells and probes are the shapes.
func fitAll(all []Cell) map[string]*fit {
	fits := map[string]*fit{}
	for _, c := range all {
		for _, t := range c.loads {
			shape, err := shapeOf(t)
			if err != nil {
				continue // fitted tells
			}
			f := fits[shape.deployment]
			if f == nil {
				f = &fit{}
				fits[shape.deployment] = f
			}
			point, err := pointOf(t, shape)
			if err != nil {
				f.doubt, f.left = cmp.Or(f.doubt, err), f.left+1
				continue
			}
			f.points = append(f.points, point)
			if idle, ok := idlePoint(t); ok {
				f.points = append(f.points, idle)
			}
		}
	}
	for _, f := range fits {
		if f.err = f.doubt; len(f.points) > 0 {
			f.fit, f.err = phase.Regress(f.points)
		}
		if f.left > 0 && len(f.points) > 0 {
			f.fit.LeftOut, f.fit.LeftOutWhy = f.left, f.doubt.Error()
			if f.err != nil {
				f.err = fmt.Errorf("%w; %d loads are not in the fit: %w", f.err, f.left, f.doubt)
			}
		}
	}
	return fits
}

// fitted is method E for the cell.
func (c Cell) fitted(fits map[string]*fit) phase.Split {
	shape, err := shapeOf(c.loads[0])
	if err != nil {
		return phase.NotFitted(err)
	}
	f := fits[shape.deployment]
	if f.err != nil {
		return phase.NotFitted(f.err)
	}
	context, err := c.context()
	if err != nil {
		return phase.NotFitted(err)
	}
	return phase.FromFit(c.phaseSpec(), f.fit, context)
}

// context is how many tokens stand before an output token in the cell's windows, on
// average: the prompt, and half of the output.
func (c Cell) context() (float64, error) {
	var requests, prompts, outputs float64
	for _, w := range c.works() {
		requests, prompts, outputs = requests+w.Requests, prompts+w.PromptTokens, outputs+w.OutputTokens
	}
	switch {
	case requests == 0:
		return 0, errors.New("no request ended in its windows, so the tokens before an output token are not known; lengthen protocol.window_s")
	case outputs <= requests:
		return 0, errors.New("it decodes nothing: prefill yields the only output token of its requests")
	}
	return (prompts + outputs/2) / requests, nil
}

// shape is what method E varies, and the deployment that it holds for.
type shape struct {
	deployment  string
	name        string // lengths and load
	concurrency int
	prefix      int // tokens that all prompts begin with
}

func shapeOf(t result.Trial) (shape, error) {
	var d struct {
		Plugin, Version   string
		Parameters, Model json.RawMessage
		Workload          struct {
			Requests int
			Input    int `json:"input_tokens"`
			Output   int `json:"output_tokens"`
			Prefix   int `json:"shared_prefix_tokens"`
		}
		Load struct {
			Mode             string
			Concurrency      int
			Rate, Burstiness float64
		}
	}
	if err := json.Unmarshal([]byte(t.Cell.Definition), &d); err != nil {
		return shape{}, errors.New("the records lack the definition of their cell")
	}
	s := shape{prefix: d.Workload.Prefix, concurrency: d.Load.Concurrency}
	s.deployment = fmt.Sprintf("%s %s %s %s %s %s", d.Plugin, d.Version, d.Parameters, d.Model, t.Boundary, cardOf(t))
	s.name = fmt.Sprintf("%d+%d tokens, %s", d.Workload.Input, d.Workload.Output, d.Load.Mode)
	if d.Workload.Prefix > 0 {
		s.name = fmt.Sprintf("%s, prefix %d", s.name, d.Workload.Prefix)
	}
	switch d.Load.Mode {
	case "batch":
		s.concurrency = d.Workload.Requests
		s.name = fmt.Sprintf("%s of %d", s.name, s.concurrency)
	case "closed":
		s.name = fmt.Sprintf("%s %d", s.name, s.concurrency)
	default:
		s.name = fmt.Sprintf("%s %g/s (%g)", s.name, d.Load.Rate, d.Load.Burstiness)
		if t.Run != nil && t.Run.After != nil && t.Run.After.RunningMean != nil {
			s.concurrency = int(math.Round(*t.Run.After.RunningMean))
		}
	}
	return s, nil
}

// mostFailedRel is the share of a Run's requests that may have failed. What the engine
// did for them is in its joules and counters, while the tokens before an output token are
// those of the requests that were answered. The joules of decode come out wrong by up to
// 0.6 times the share in simulated designs; if it is the same in all Runs no shape left
// out shows it.
const mostFailedRel = 0.01

// pointOf makes a design point of a whole Run.
func pointOf(t result.Trial, s shape) (phase.Point, error) {
	switch {
	case t.Run == nil || t.Run.EnergyJ == nil:
		return phase.Point{}, errors.New("the records have no joules of whole Runs")
	case t.Run.Before == nil || t.Run.After == nil:
		return phase.Point{}, errors.New("the engine counts nothing")
	}
	p := phase.Point{Shape: s.name, Concurrency: s.concurrency, EnergyJ: *t.Run.EnergyJ, TimeS: float64(t.Run.EndNs-t.Run.BeginNs) / 1e9}
	before, after := t.Run.Before, t.Run.After
	for _, one := range []struct {
		what          string
		before, after *int64
		to            *float64
	}{
		{"steps", before.EngineSteps, after.EngineSteps, &p.Steps},
		{"prompt tokens", before.PromptTokens, after.PromptTokens, &p.PrefillTokens},
		{"output tokens", before.OutputTokens, after.OutputTokens, &p.DecodeTokens},
	} {
		if one.before == nil || one.after == nil {
			return phase.Point{}, fmt.Errorf("the engine does not count its %s", one.what)
		}
		*one.to = float64(*one.after - *one.before)
	}
	requests := float64(t.Run.Requests - t.Run.Failed)
	switch { // else such Runs would spoil the fit of all
	case requests <= 0:
		return phase.Point{}, errors.New("no request of the whole Run succeeded")
	case float64(t.Run.Failed) > mostFailedRel*float64(t.Run.Requests):
		return phase.Point{}, fmt.Errorf("%d of %d requests of the whole Run failed (at most %.0f %%), and how much the engine worked on them is not known", t.Run.Failed, t.Run.Requests, 100*mostFailedRel)
	case t.Run.Reason == sdk.FinishAborted:
		return phase.Point{}, errors.New("the whole Run was broken off with requests in flight, and how much the engine worked on them is not known")
	case preempted(before, after) > 0:
		return phase.Point{}, fmt.Errorf("the engine preempted %d requests in the whole Run, and what it computed again is in no counter", preempted(before, after))
	}
	// A token of a request has the prompt before it and, on average, half of the
	// output. Where lengths vary, their means stand for them.
	context := (p.PrefillTokens + p.DecodeTokens/2) / requests
	// The first token of each request belongs to its prefill.
	p.DecodeTokens -= requests
	p.ContextTokens = p.DecodeTokens * context
	cached, err := cachedTokens(before, after, s)
	p.PrefillTokens -= cached
	return p, err
}

// preempted is how often the engine put a request off whose cache it needed.
func preempted(before, after *sdk.Counters) int64 {
	if before.Preemptions == nil || after.Preemptions == nil {
		return 0
	}
	return *after.Preemptions - *before.Preemptions
}

// cachedTokens are prompt tokens that the engine did not compute. Prompts differ
// from their first token on, so without a common prefix nothing can be cached.
func cachedTokens(before, after *sdk.Counters, s shape) (float64, error) {
	switch {
	case before.CachedPromptTokens != nil && after.CachedPromptTokens != nil:
		return float64(*after.CachedPromptTokens - *before.CachedPromptTokens), nil
	case s.prefix > 0:
		return 0, errors.New("the engine does not count the prompt tokens that it had cached")
	}
	return 0, nil
}

// idlePoint is the stretch with the model loaded and nothing to do.
func idlePoint(t result.Trial) (phase.Point, bool) {
	if t.Idle == nil || t.Idle.ToNs <= t.Idle.FromNs || len(t.Headline) == 0 {
		return phase.Point{}, false
	}
	p := phase.Point{TimeS: float64(t.Idle.ToNs-t.Idle.FromNs) / 1e9}
	for _, id := range t.Headline {
		w, ok := t.IdlePowerW[id]
		if !ok {
			return phase.Point{}, false
		}
		p.EnergyJ += w * p.TimeS
	}
	return p, true
}
