package report

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/phase"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
	"github.com/llenergymeasure/llem/sdk"
)

// probed gives a trial a probe: 100 prompt tokens a request, and windows whose
// requests have 100 output tokens.
func probed(t result.Trial) result.Trial {
	t.Cell.ProbeID = "p-" + t.Cell.ID
	for i := range t.Windows {
		t.Windows[i].PromptTokens = 100 * windowRequests
		t.Windows[i].PhasesAbsent = "requests in flight mix both phases"
	}
	return t
}

// probeOf is the probe trial whose requests need so many joules each.
func probeOf(cell string, block int, perRequest float64) result.Trial {
	t := probed(aTrial("p-"+cell, block, 1))
	t.Cell.Label, t.Cell.Probe, t.Cell.ProbeID = "probe of "+cell, true, ""
	w := &t.Windows[0]
	w.OutputTokens, w.EnergyJ = windowRequests, ptr(perRequest*windowRequests)
	t.Work.Hash = "probe"
	return t
}

// probes is a study of two cells with probe trials.
func probes() []result.Trial {
	var list []result.Trial
	for block, d := range []float64{0.002, -0.001, 0.003} {
		list = append(list, probed(aTrial("f16", block, 0.55+d)), probed(aTrial("q8_0", block, 0.35+d)),
			probeOf("f16", block, 5+d), probeOf("q8_0", block, 3+d))
	}
	return list
}

// stamped gives a trial's windows phases of so many joules.
func stamped(t result.Trial, prefillJ, decodeJ float64) result.Trial {
	for i := range t.Windows {
		t.Windows[i].PromptTokens = 100 * windowRequests
		t.Windows[i].Phases = &result.Phases{PrefillJ: prefillJ, DecodeJ: decodeJ, PrefillNs: 1e9, DecodeNs: 8e9}
		t.Windows[i].PhasesAbsent = ""
	}
	return t
}

func TestPhasesBySubtraction(t *testing.T) {
	s := Summarize(append(probes(), probeOf("f16", 7, 4)), []result.Trial{failedProbe()}, Options{})
	if len(s.Cells) != 2 || len(s.Groups) != 1 || len(s.Probes) != 2 || s.Probes[0].Trials != 4 || s.Probes[1].Failed != 1 {
		t.Fatalf("%d cells in %d groups, probes %+v", len(s.Cells), len(s.Groups), s.Probes)
	}
	for _, c := range s.Cells {
		perRequest, perToken := 3+0.004/3, 0.35+0.004/3
		if c.Label == "f16" {
			perRequest, perToken = 5+0.004/3, 0.55+0.004/3
		}
		if c.Phase == nil || c.Phase.Method != phase.Subtraction {
			t.Fatalf("%s: %+v", c.Label, c.Phase)
		}
		near(t, "prefill", c.Phase.Prefill.Centre, perRequest/100)
		near(t, "decode", c.Phase.Decode.Centre, (perToken*100-perRequest)/99)
		if c.Phase.Decode.N != 3 || c.Phase.Decode.Boundary != c.Boundary || *c.Phase.Decode.SystematicRel != 0.05 {
			t.Errorf("%+v", c.Phase.Decode)
		}
	}
}

func failedProbe() result.Trial {
	f := failedRun("p-q8_0", 3)
	f.Cell.Label, f.Cell.Probe = "probe of q8_0", true
	return f
}

// Stamps in each pass come before probe trials, and one window without them is
// enough to fall back.
func TestPhasesByAlignment(t *testing.T) {
	list := probes()
	for i := range list {
		if list[i].Cell.ID == "f16" {
			list[i] = stamped(list[i], 50, 450)
		}
	}
	f16 := func() Cell {
		s := Summarize(list, nil, Options{})
		return s.Cells[len(s.Cells)-1]
	}
	c := f16()
	if c.Phase.Method != phase.Alignment {
		t.Fatalf("%+v", c.Phase)
	}
	near(t, "prefill", c.Phase.Prefill.Centre, 50.0/(100*windowRequests))
	near(t, "decode", c.Phase.Decode.Centre, 450.0/(99*windowRequests))
	list[0].Windows[0].Phases, list[0].Windows[0].PhasesAbsent = nil, "prefill lasts 5 ms"
	if c := f16(); c.Phase.Method != phase.Subtraction || c.Phase.Refused[phase.Alignment] != "prefill lasts 5 ms" {
		t.Errorf("%+v", c.Phase)
	}
}

// fittedStudy has shapes of a server that needs 130 W, 0.4 J a step, 0.02 J a
// prompt token and 0.05 J an output token after the first of each request, which
// comes from prefill.
func fittedStudy(concurrencies ...int) []result.Trial {
	var list []result.Trial
	for _, c := range concurrencies {
		for _, in := range []int64{32, 512, 1024, 2048} {
			for _, out := range []int64{4, 128, 512} {
				id := fmt.Sprintf("c%d-%d-%d", c, in, out)
				t := aTrial(id, 0, 0.5)
				t.Cell.Definition = fmt.Sprintf(`{"plugin":"x","version":"","parameters":{},"model":{},"workload":{"requests":8,"input_tokens":%d,"output_tokens":%d},"load":{"mode":"closed","concurrency":%d}}`, in, out, c)
				requests := 40 * int64(c)
				steps, prompt, output, cached := 40*out, requests*(in+8), requests*out, requests*8
				seconds := float64(steps)*(0.01+1e-5*float64(c)) + float64(prompt-cached)*2e-5
				t.Run = &result.Run{
					EndNs: int64(seconds * 1e9), EnergyJ: ptr(130*seconds + 0.4*float64(steps) + 0.02*float64(prompt-cached) + 0.05*float64(output-requests)),
					Requests: requests,
					Before:   &sdk.Counters{EngineSteps: ptr[int64](7), PromptTokens: ptr[int64](9), OutputTokens: ptr[int64](3), CachedPromptTokens: ptr[int64](1)},
					After:    &sdk.Counters{EngineSteps: ptr(7 + steps), PromptTokens: ptr(9 + prompt), OutputTokens: ptr(3 + output), CachedPromptTokens: ptr(1 + cached)},
				}
				t.Idle, t.IdlePowerW = &result.Idle{ToNs: 10e9}, map[string]float64{"rapl/package-0": 130}
				list = append(list, t)
			}
		}
	}
	return list
}

func TestPhasesByRegression(t *testing.T) {
	s := Summarize(fittedStudy(1, 8, 64), nil, Options{})
	for _, c := range s.Cells {
		if c.Phase.Method != phase.Regression {
			t.Fatalf("%s: %s", c.Label, c.Phase.Reason())
		}
		if p, d := c.Phase.Prefill.Centre, c.Phase.Decode.Centre; p < 0.0199 || p > 0.0201 || d < 0.0499 || d > 0.0501 {
			t.Errorf("%g and %g", p, d)
		}
		if c.Phase.LeaveOutRel == nil || c.Phase.Fit == nil || c.Phase.Fit.Shapes != 36 {
			t.Errorf("%+v", c.Phase)
		}
	}
	var text strings.Builder
	if err := Table(&text, s, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := "beside 130 W over the whole time and 0.4 J"; strings.Count(text.String(), want) != 1 {
		t.Errorf("the table has not once %q:\n%s", want, text.String())
	}
	for want, change := range map[string]func(*result.Trial){
		"joules of whole Runs": func(t *result.Trial) { t.Run.EnergyJ = nil },
		"count its steps":      func(t *result.Trial) { t.Run.After.EngineSteps = nil },
		"counts nothing":       func(t *result.Trial) { t.Run.Before = nil },
		"idle_s":               func(t *result.Trial) { t.Idle = nil },
		"lack the definition":  func(t *result.Trial) { t.Cell.Definition = "" },
		"3 shapes":             func(t *result.Trial) { t.Boundary = "of its own " + t.Cell.ID[:4] },
		"had cached": func(t *result.Trial) {
			t.Run.After.CachedPromptTokens = nil
			t.Cell.Definition = strings.Replace(t.Cell.Definition, `"requests"`, `"shared_prefix_tokens":8,"requests"`, 1)
		},
	} {
		list := fittedStudy(1, 8)
		for i := range list {
			change(&list[i])
		}
		if c := Summarize(list, nil, Options{}).Cells[0]; c.Phase.Method != "" || !strings.Contains(c.Phase.Reason(), want) {
			t.Errorf("%s: %q", want, c.Phase.Reason())
		}
	}
}

// What an output token costs grows with the tokens before it, and each cell has its
// own number of them.
func TestRegressedDecodeIsAtTheCellsContext(t *testing.T) {
	const contextJ = 4e-5
	list, contexts := fittedStudy(1, 8), map[string]float64{}
	for i := range list {
		t := &list[i]
		prompt := float64(*t.Run.After.PromptTokens-*t.Run.Before.PromptTokens) / float64(t.Run.Requests)
		output := float64(*t.Run.After.OutputTokens-*t.Run.Before.OutputTokens) / float64(t.Run.Requests)
		context := prompt + output/2
		*t.Run.EnergyJ += contextJ * context * (output - 1) * float64(t.Run.Requests)
		contexts[t.Cell.ID] = context
		for w := range t.Windows {
			t.Windows[w].Requests, t.Windows[w].PromptTokens, t.Windows[w].OutputTokens = 2, int64(2*prompt), int64(2*output)
		}
	}
	for _, c := range Summarize(list, nil, Options{}).Cells {
		if c.Phase.Method != phase.Regression {
			t.Fatalf("%s: %s", c.Label, c.Phase.Reason())
		}
		prefill, decode := c.Phase.Prefill.Centre, c.Phase.Decode.Centre
		if want := 0.05 + contextJ*contexts[c.ID]; math.Abs(prefill-0.02) > 1e-9 || math.Abs(decode-want) > 1e-9 {
			t.Errorf("%s: %g and %g, want 0.02 and %g", c.Label, prefill, decode, want)
		}
	}
}

// A Run or windows without a request have no context: they say so, and the other cells
// keep their joules.
func TestRegressionWithoutARequest(t *testing.T) {
	const odd = "c8-512-128"
	for want, change := range map[string]func(*result.Trial){
		"": func(t *result.Trial) { t.Run.Failed = t.Run.Requests },
		"E: no request ended in its windows": func(t *result.Trial) {
			for w := range t.Windows {
				t.Windows[w].Requests = 0
			}
		},
		"E: it decodes nothing": func(t *result.Trial) {
			for w := range t.Windows {
				t.Windows[w].OutputTokens = t.Windows[w].Requests
			}
		},
	} {
		list := fittedStudy(1, 8)
		for i := range list {
			if list[i].Cell.ID == odd {
				change(&list[i])
			}
		}
		for _, c := range Summarize(list, nil, Options{}).Cells {
			if c.ID == odd && want != "" {
				if !strings.Contains(c.Phase.Reason(), want) {
					t.Errorf("%s: %q, want %q", c.Label, c.Phase.Reason(), want)
				}
			} else if c.Phase.Method != phase.Regression {
				t.Errorf("%s: %s", c.Label, c.Phase.Reason())
			} else if want == "" && (c.Phase.Fit.LeftOut != 1 || c.Phase.Fit.LeftOutWhy != "no request of the whole Run succeeded") {
				t.Errorf("%s: left out %d, %q", c.Label, c.Phase.Fit.LeftOut, c.Phase.Fit.LeftOutWhy)
			}
		}
	}
}

// Loads that make no point of the fit are counted, with what they lack.
func TestAFitTellsOfLoadsThatAreNotInIt(t *testing.T) {
	list := fittedStudy(1, 8)
	list[3].Run.After.EngineSteps, list[5].Run.EnergyJ = nil, nil
	s := Summarize(list, nil, Options{})
	for _, c := range s.Cells {
		if f := c.Phase.Fit; f == nil || f.Shapes != 22 || f.LeftOut != 2 || f.LeftOutWhy != "the engine does not count its steps" || !c.Phase.Decode.Has(stats.CodeIncompleteBlocks) {
			t.Errorf("%s: %+v %s", c.Label, f, c.Phase.Reason())
		}
	}
	for i := range list[:18] {
		list[i].Run.EnergyJ = nil
	}
	if why := Summarize(list, nil, Options{}).Cells[0].Phase.Reason(); !strings.Contains(why, "6 shapes, of 8") || !strings.Contains(why, "18 loads are not in the fit: the records have no joules of whole Runs") {
		t.Error(why)
	}
}

// A deployment's probes and cells are shapes of one fit; other parameters are
// another deployment.
func TestAFitIsOfOneDeployment(t *testing.T) {
	list := fittedStudy(1, 8)
	for i := range list {
		if i%2 == 0 {
			list[i].Cell.Definition = strings.Replace(list[i].Cell.Definition, `"parameters":{}`, `"parameters":{"a":1}`, 1)
		}
		list[i].Cell.Probe = i >= 4
	}
	s := Summarize(list, nil, Options{})
	for _, c := range s.Cells {
		if c.Phase.Method != phase.Regression || c.Phase.Fit.Shapes != 12 {
			t.Errorf("%s: %+v %s", c.Label, c.Phase.Fit, c.Phase.Reason())
		}
	}
	if e := s.Cells[0].Phase.Decode; e.Method != phase.MethodShapesLeftOut || e.Direction != stats.Lower {
		t.Errorf("%+v", e)
	}
}
