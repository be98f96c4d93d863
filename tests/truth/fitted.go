package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/phase"
	product "github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// sweep is a study whose cells are the shapes of method E: every prompt length
// with every output length and concurrency, each started several times.
type sweep struct {
	prompts, outputs, concurrencies []int
	loads                           int
	// noise is the relative spread of the loads' energy.
	noise float64
	// cheaper is by how much an output token costs less with each doubling of the
	// concurrency: the energy is then not the sum that is fitted.
	cheaper float64
}

// What a simulated server uses: its own power, and joules of an engine step, of a
// prompt token, of an output token after the first and of each token before it.
const (
	serverW       = 120.0
	perStepJ      = 2.0
	perPromptTokJ = 0.03
	perOutputTokJ = 0.12
	perContextJ   = 3e-5
)

func (s sweep) outputTokJ(concurrency int) float64 {
	return perOutputTokJ / (1 + s.cheaper*math.Log2(float64(concurrency)))
}

// fitted is what the report made of a sweep.
type fitted struct {
	refused string
	// off are the errors of prefill and decode, relative to the truth; held says
	// whether the bounds of each hold it.
	off  [2]float64
	held [2]bool
}

// study measures a sweep, stores its trials and reads what the report makes of
// the records.
func (s sweep) study(by sensor, r *rand.Rand) (fitted, error) {
	var records []result.Trial
	later, laterJ := 0.0, 0.0 // output tokens after the first, without their context
	contexts := map[string]float64{}
	for _, prompt := range s.prompts {
		for _, output := range s.outputs {
			for _, concurrency := range s.concurrencies {
				for block := range s.loads {
					t, err := s.load(by, prompt, output, concurrency, r)
					if err != nil {
						return fitted{}, err
					}
					t.Block = block
					if t, err = asStored(t); err != nil {
						return fitted{}, err
					}
					records = append(records, t)
					n := float64(t.Run.Requests) * float64(output-1)
					later, laterJ = later+n, laterJ+n*s.outputTokJ(concurrency)
					contexts[t.Cell.ID] = context(prompt, output)
				}
			}
		}
	}
	cells := product.Summarize(records, nil, product.Options{}).Cells
	if len(cells) != len(records)/s.loads {
		return fitted{}, fmt.Errorf("%d cells of %d trials", len(cells), len(records))
	}
	split := cells[0].Phase
	if split.Method == "" {
		return fitted{refused: split.Refused[phase.Regression]}, nil
	}
	if split.Method != phase.Regression {
		return fitted{}, fmt.Errorf("the report took method %s", split.Method)
	}
	var out fitted
	for i, c := range []struct {
		got   float64
		lo    *float64
		hi    *float64
		truth float64
	}{
		{split.Prefill.Centre, split.Prefill.Lo, split.Prefill.Hi, perPromptTokJ},
		{split.Decode.Centre, split.Decode.Lo, split.Decode.Hi, laterJ/later + perContextJ*contexts[cells[0].ID]},
	} {
		out.off[i], out.held[i] = c.got/c.truth-1, *c.lo <= c.truth && c.truth <= *c.hi
	}
	return out, nil
}

// context is how many tokens stand before an output token after the first, on average.
func context(prompt, output int) float64 { return float64(prompt) + float64(output)/2 }

// asStored is what a reader finds of a record.
func asStored(t result.Trial) (back result.Trial, err error) {
	text, err := json.Marshal(t)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil {
		return back, fmt.Errorf("store a trial and read it back: %w", err)
	}
	return back, nil
}

// load is one start of one shape: static batches of the concurrency, whose first
// tokens come from prefill, and a stretch without work.
func (s sweep) load(by sensor, prompt, output, concurrency int, r *rand.Rand) (result.Trial, error) {
	batch := float64(concurrency)
	e := engine{
		prefillNs: int64(15e6 + 20e3*float64(prompt)*batch), steps: output - 1,
		stepNs: int64(12e6 + 0.2e6*batch), busyShare: 1,
	}
	e.prefillW = serverW + (perStepJ+perPromptTokJ*float64(prompt)*batch)/(float64(e.prefillNs)/1e9)
	e.busyW = serverW + (perStepJ+(s.outputTokJ(concurrency)+perContextJ*context(prompt, output))*batch)/(float64(e.stepNs)/1e9)
	passes := 1 + int(10*second/e.passNs())
	scatter := 1 + s.noise*r.NormFloat64()
	work, err := trial(by, e, 10*second, 1, passes, func(int) float64 { return scatter }, fault{}, r)
	if err != nil {
		return result.Trial{}, err
	}
	idle, err := trial(by, engine{prefillNs: second, prefillW: serverW}, 10*second, 1, 10, func(int) float64 { return 1 + s.noise*r.NormFloat64() }, fault{}, r)
	if err != nil {
		return result.Trial{}, err
	}
	cell := study.Cell{
		Plugin: "simulated", Load: study.LoadSpec{Mode: "batch"},
		Workload: study.Workload{Requests: concurrency, InputTokens: prompt, OutputTokens: output, Lengths: "exact"},
	}
	cell.Identify(nil)
	var (
		joules, span = work[0].window, idle[0].window
		requests     = int64(passes * concurrency)
		tokens       = requests * int64(output)
		perToken     = joules.EnergyJ / float64(tokens)
	)
	counted := func(steps, prompts, outputs int64) *sdk.Counters {
		return &sdk.Counters{EngineSteps: &steps, PromptTokens: &prompts, OutputTokens: &outputs}
	}
	// The counters of a process that has warmed up begin anywhere.
	const steps0, prompts0, outputs0 = 311, 40960, 2048
	return result.Trial{
		SchemaVersion: result.SchemaVersion, Status: result.StatusOK, Ranked: true, Host: "simulated",
		Cell:     result.Cell{ID: cell.ID, Label: cell.ID, Definition: cell.Definition, Loop: sdk.LoopBatch},
		Boundary: energy.BoundaryOf(by.domain).String(), Headline: []string{by.domain.ID},
		Load: &result.Load{Report: sdk.LoadReport{Model: sdk.ModelIdentity{Base: "simulated"}}},
		Work: &result.Work{Hash: fmt.Sprintf("%d+%d of %d", prompt, output, concurrency)},
		Run: &result.Run{
			BeginNs: joules.FromNs, EndNs: joules.ToNs, EnergyJ: &joules.EnergyJ, Requests: requests,
			Before: counted(steps0, prompts0, outputs0),
			After:  counted(steps0+int64(passes*output), prompts0+requests*int64(prompt), outputs0+tokens),
		},
		Idle: &result.Idle{FromNs: span.FromNs, ToNs: span.ToNs}, IdlePowerW: map[string]float64{by.domain.ID: span.MeanPowerW},
		Windows: []result.Window{{
			FromNs: joules.FromNs, ToNs: joules.ToNs, Requests: requests, PromptTokens: requests * int64(prompt), OutputTokens: tokens,
			EnergyJ: &joules.EnergyJ, EnergyPerOutputTokenJ: &perToken, PhasesAbsent: "the ends of prefill are not stamped",
		}},
	}, nil
}

// The designs of method E: 27 shapes each.
var (
	longOutputs  = sweep{prompts: []int{64, 512, 2048}, outputs: []int{16, 64, 256}, concurrencies: []int{1, 8, 32}}
	shortOutputs = sweep{prompts: []int{64, 512, 2048}, outputs: []int{4, 8, 16}, concurrencies: []int{1, 8, 32}}
)

// regressed makes one split by method E of a study with one load of each shape.
func (s sweep) regressed(by sensor, r *rand.Rand) (prefill, decode float64, err error) {
	s.loads, s.noise = 1, 0.002
	f, err := s.study(by, r)
	if err == nil && f.refused != "" {
		err = fmt.Errorf("no split: %s", f.refused)
	}
	return f.off[0], f.off[1], err
}

// refusals tell how often method E refuses studies whose loads scatter, how far off
// the others are, and whether their bounds hold the truth.
func refusals(e effort, seed uint64) ([]figure, error) {
	cheaper := longOutputs
	cheaper.cheaper = 0.05
	var out []figure
	for _, c := range []struct {
		name string
		sweep
	}{
		{"outputs of 16 to 256 tokens", longOutputs},
		{"outputs of 4 to 16 tokens", shortOutputs},
		{"tokens 5 % cheaper with each doubling of concurrency", cheaper},
	} {
		var bounds, held int
		for _, noise := range []float64{0.005, 0.01, 0.02} {
			for _, loads := range []int{1, 3, 5} {
				s := c.sweep
				s.noise, s.loads = noise, loads
				seed++
				found, err := each(e.studies/200, seed, func(r *rand.Rand, _ int) (fitted, error) { return s.study(sensors()[0], r) })
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				var off []float64
				for _, f := range found {
					for i := range f.off {
						if f.refused != "" {
							continue
						}
						off = append(off, math.Abs(f.off[i]))
						if bounds++; f.held[i] {
							held++
						}
					}
				}
				f := percent("T2", fmt.Sprintf("refused by E, %s, %d loads that differ by %g %%", c.name, loads, 100*noise), 1-float64(len(off))/float64(2*len(found)))
				if len(off) > 0 {
					slices.Sort(off)
					f.note = fmt.Sprintf("error of the others: 95 %% below %.1f %%, worst %.1f %%", 100*off[len(off)*95/100], 100*off[len(off)-1])
				}
				out = append(out, f)
			}
		}
		if bounds > 0 {
			out = append(out, percent("T2", "bounds of E that hold the truth, "+c.name, float64(held)/float64(bounds)).atLeast(95))
		}
	}
	return out, nil
}
