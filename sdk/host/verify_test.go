package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/sdk"
)

// honest records the events of a true batch Run over w, as a backend that
// takes no time gives them.
func honest(spec sdk.RunSpec, w *sdk.Work) []sdk.RunEvent {
	var events []sdk.RunEvent
	run := sdk.NewRun(spec, w, func(e sdk.RunEvent) { events = append(events, e) })
	events = append(events, sdk.Started{MonoNs: run.BeginNs()})
	for pass := range run.Passes(context.Background()) {
		for i, item := range pass.Items {
			sent := sdk.MonoNow()
			c := sdk.Completion{Request: pass.First + uint32(i), SentNs: sent, PromptTokens: uint32(len(item.TokenIDs)), FinishReason: "length"}
			for range item.MaxTokens {
				c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: sdk.MonoNow(), Tokens: 1})
			}
			c.FirstNs, c.LastNs, c.OutputTokens = c.Chunks[0].MonoNs, c.Chunks[len(c.Chunks)-1].MonoNs, item.MaxTokens
			run.Complete(c)
		}
		run.Step(sdk.Step{EndNs: sdk.MonoNow()})
		events = append(events, run.Heartbeat())
	}
	finished, err := run.Finish()
	if err != nil {
		panic(err)
	}
	return append(events, finished)
}

func judge(v *verifier, events []sdk.RunEvent) error {
	for _, e := range events {
		if err := v.event(e); err != nil {
			return err
		}
	}
	return nil
}

func TestAnHonestRunIsBelieved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := work(rapid.IntRange(1, 20).Draw(t, "requests"))
		spec := sdk.RunSpec{
			Loop: sdk.LoopBatch, RequestsPerPass: rapid.Uint32Range(1, 5).Draw(t, "per pass"),
			First: rapid.Uint32Range(0, uint32(len(w.Items)-1)).Draw(t, "first"), RecordSteps: rapid.Bool().Draw(t, "steps"),
			MaxPasses: rapid.Uint32Range(0, 3).Draw(t, "passes"),
		}
		v := newVerifier("p", spec, keepWork(w))
		if err := judge(v, honest(spec, w)); err != nil {
			t.Fatal(err)
		}
	})
}

// Each way of changing one number of a true Run is found.
func TestEveryLieIsFound(t *testing.T) {
	spec := sdk.RunSpec{Loop: sdk.LoopBatch, RequestsPerPass: 2, RecordSteps: true, MaxPasses: 2}
	const hour = int64(3_600_000_000_000)
	type lie = func(events []sdk.RunEvent) []sdk.RunEvent
	change := func(f func(sdk.RunEvent) sdk.RunEvent) lie {
		return func(events []sdk.RunEvent) []sdk.RunEvent {
			for i, e := range events {
				events[i] = f(e)
			}
			return events
		}
	}
	started := func(f func(*sdk.Started)) lie {
		return change(func(e sdk.RunEvent) sdk.RunEvent {
			if x, ok := e.(sdk.Started); ok {
				f(&x)
				return x
			}
			return e
		})
	}
	completion := func(f func(*sdk.Completion)) lie {
		return change(func(e sdk.RunEvent) sdk.RunEvent {
			if x, ok := e.(sdk.Completions); ok && x[0].Request == 0 {
				f(&x[0])
			}
			return e
		})
	}
	pass := func(f func(*sdk.PassRecord)) lie {
		return change(func(e sdk.RunEvent) sdk.RunEvent {
			if x, ok := e.(sdk.PassRecord); ok && x.Index == 1 {
				f(&x)
				return x
			}
			return e
		})
	}
	finished := func(f func(*sdk.Finished)) lie {
		return change(func(e sdk.RunEvent) sdk.RunEvent {
			if x, ok := e.(sdk.Finished); ok {
				f(&x)
				return x
			}
			return e
		})
	}
	for what, change := range map[string]lie{
		"started 3600.0":                                 started(func(s *sdk.Started) { s.MonoNs -= hour }),
		"started 3599.9|started 3600.":                   started(func(s *sdk.Started) { s.MonoNs += hour }),
		"before the Run's start":                         func(e []sdk.RunEvent) []sdk.RunEvent { return e[1:] },
		"started twice":                                  func(e []sdk.RunEvent) []sdk.RunEvent { return append(e[:1:1], e...) },
		"request 7 was completed and the Run has 0 to 5": completion(func(c *sdk.Completion) { c.Request = 7 }),
		"request 1 was completed twice":                  completion(func(c *sdk.Completion) { c.Request = 1 }),
		"before the Run began":                           completion(func(c *sdk.Completion) { c.SentNs -= hour }),
		"its first token before it was sent":             completion(func(c *sdk.Completion) { c.FirstNs = c.SentNs - 1 }),
		"last token before its first":                    completion(func(c *sdk.Completion) { c.LastNs = c.FirstNs - 1 }),
		"output and no stamp":                            completion(func(c *sdk.Completion) { c.FirstNs = 0 }),
		"exact lengths ask for 4":                        completion(func(c *sdk.Completion) { c.OutputTokens = 3 }),
		"and may have 4":                                 completion(func(c *sdk.Completion) { c.OutputTokens = 5 }),
		"9 prompt tokens; 3 were prepared":               completion(func(c *sdk.Completion) { c.PromptTokens = 9 }),
		"go back in time":                                completion(func(c *sdk.Completion) { c.Chunks[2].MonoNs -= hour }),
		"tokens in its chunks":                           completion(func(c *sdk.Completion) { c.Chunks[2].Tokens = 2 }),
		"a chunk after its last token":                   completion(func(c *sdk.Completion) { c.Chunks[3].MonoNs += hour }),
		"ended before its last token came":               completion(func(c *sdk.Completion) { c.LastNs += hour }),
		"pass 2 came where pass 1 was":                   pass(func(p *sdk.PassRecord) { p.Index = 2 }),
		"begins with request 3; 2 was its turn":          pass(func(p *sdk.PassRecord) { p.FirstRequest = 3 }),
		"before the one before it ended":                 pass(func(p *sdk.PassRecord) { p.BeginNs -= hour }),
		"after its begin":                                pass(func(p *sdk.PassRecord) { p.EndNs = p.BeginNs }),
		"prefill's end outside":                          pass(func(p *sdk.PassRecord) { p.PrefillEndNs = p.EndNs + 1 }),
		"claims 3 requests":                              pass(func(p *sdk.PassRecord) { p.Requests = 3 }),
		"claims 2 requests, 0 failed, 7 prompt":          pass(func(p *sdk.PassRecord) { p.PromptTokens++ }),
		"6 prompt and 9 output tokens":                   pass(func(p *sdk.PassRecord) { p.OutputTokens++ }),
		"ended before its last record":                   pass(func(p *sdk.PassRecord) { p.EndNs += hour }),
		"it counted 5 completions":                       finished(func(f *sdk.Finished) { f.Completions = 5 }),
		"3 passes and 16 tokens":                         finished(func(f *sdk.Finished) { f.Passes = 3 }),
		"2 passes and 17 tokens":                         finished(func(f *sdk.Finished) { f.OutputTokens = 17 }),
		"in the future":                                  finished(func(f *sdk.Finished) { f.MonoNs += hour }),
		"and was told":                                   finished(func(f *sdk.Finished) { f.Applied.MaxPasses = 3 }),
		"outside any pass": func(events []sdk.RunEvent) []sdk.RunEvent {
			var kept []sdk.RunEvent
			for _, e := range events {
				switch x := e.(type) {
				case sdk.PassRecord:
					if x.Index == 1 {
						continue
					}
				case sdk.Finished:
					x.Passes = 1
					e = x
				}
				kept = append(kept, e)
			}
			return kept
		},
		"does not have all its 2 requests": func(events []sdk.RunEvent) []sdk.RunEvent {
			var lost int64
			for i, e := range events {
				switch x := e.(type) {
				case sdk.Completions:
					if x[0].Request == 2 {
						lost = int64(x[1].OutputTokens)
						events[i] = x[:1]
					}
				case sdk.PassRecord:
					if x.Index == 1 {
						x.Requests, x.PromptTokens, x.OutputTokens = 1, 3, 4
						events[i] = x
					}
				case sdk.Heartbeat:
					if x.Done == 4 {
						x.Done, x.OutputTokens = 3, x.OutputTokens-4
						events[i] = x
					}
				case sdk.Finished:
					x.Completions, x.OutputTokens = x.Completions-1, x.OutputTokens-lost
					events[i] = x
				}
			}
			return events
		},
		"counts less than the one before": func(events []sdk.RunEvent) []sdk.RunEvent {
			first := true
			for i, e := range events {
				if b, ok := e.(sdk.Heartbeat); ok && first {
					first = false
					b.Done = 100
					events[i] = b
				}
			}
			return events
		},
		"a heartbeat counted 100 completions": func(events []sdk.RunEvent) []sdk.RunEvent {
			for i, e := range events {
				if b, ok := e.(sdk.Heartbeat); ok {
					b.Done = 100
					events[i] = b
				}
			}
			return events
		},
		"a heartbeat is older": change(func(e sdk.RunEvent) sdk.RunEvent {
			if b, ok := e.(sdk.Heartbeat); ok {
				b.MonoNs -= hour
				return b
			}
			return e
		}),
		"a step ended before": change(func(e sdk.RunEvent) sdk.RunEvent {
			if s, ok := e.(sdk.Steps); ok {
				s[0].EndNs -= hour
			}
			return e
		}),
	} {
		w := work(6)
		v := newVerifier("p", spec, keepWork(w))
		err := judge(v, change(honest(spec, w)))
		var found *LieError
		if !errors.As(err, &found) {
			t.Errorf("%s: got %v", what, err)
			continue
		}
		matched := false
		for _, option := range strings.Split(what, "|") {
			matched = matched || strings.Contains(found.What, option)
		}
		if !matched {
			t.Errorf("got %q, want %q", found.What, what)
		}
	}
	// An aborted Run may lack the rest of its last pass.
	w := work(6)
	v := newVerifier("p", spec, keepWork(w))
	events := honest(spec, w)
	cut := events[:len(events)-1]
	for i, e := range cut {
		if p, ok := e.(sdk.PassRecord); ok && p.Index == 1 {
			cut = append(cut[:i:i], cut[i+1:]...)
			break
		}
	}
	end := events[len(events)-1].(sdk.Finished)
	end.Reason = sdk.FinishAborted
	if err := judge(v, append(cut, end)); err != nil {
		t.Errorf("an aborted Run is not believed: %v", err)
	}
	// Steps that nobody asked for.
	spec.RecordSteps = false
	v = newVerifier("p", spec, keepWork(w))
	if err := judge(v, []sdk.RunEvent{sdk.Started{MonoNs: sdk.MonoNow()}, sdk.Steps{{EndNs: sdk.MonoNow()}}}); err == nil {
		t.Error("steps that nobody asked for are believed")
	}
	if code := sdk.CodeOf(fmt.Errorf("trial: %w", &LieError{})); code != PluginLied {
		t.Errorf("the code of a lie is %s", code)
	}
}

// Stamps of an open loop are held against its schedule: due at the Run's start and
// the arrival's offset, sent then or later.
func TestAnOpenLoopKeepsItsSchedule(t *testing.T) {
	spec := sdk.RunSpec{Loop: sdk.LoopOpen}
	w := work(3)
	for i := range w.Items {
		w.Items[i].ArrivalOffsetNs = int64(i+1) * 1e6
	}
	run := func(w *sdk.Work, change func(*sdk.Completion)) error {
		v := newVerifier("p", spec, keepWork(w))
		beganNs := sdk.MonoNow()
		events := []sdk.RunEvent{sdk.Started{MonoNs: beganNs}}
		for i, item := range w.Items {
			due := beganNs + item.ArrivalOffsetNs
			c := sdk.Completion{
				Request: uint32(i), IntendedNs: due, SentNs: due + 3e9, FirstNs: due + 4e9, LastNs: due + 4e9,
				PromptTokens: 3, OutputTokens: 4, FinishReason: "length",
			}
			if i == 1 {
				change(&c)
			}
			events = append(events, sdk.Completions{c})
		}
		return judge(v, events)
	}
	for what, c := range map[string]struct {
		change func(*sdk.Completion)
		lie    string
	}{
		"late":               {func(*sdk.Completion) {}, ""},
		"within a tolerance": {func(c *sdk.Completion) { c.IntendedNs += stampTolerance; c.SentNs = c.IntendedNs - 2*stampTolerance }, ""},
		"as it was sent":     {func(c *sdk.Completion) { c.IntendedNs = c.SentNs }, "request 1 was due 0.002000 s after the Run's start, and its intended stamp is +3.000000 s off"},
		"too early a stamp":  {func(c *sdk.Completion) { c.IntendedNs -= stampTolerance + 1 }, "its intended stamp is -0.001000 s off"},
		"no stamp":           {func(c *sdk.Completion) { c.IntendedNs = 0 }, "request 1 of an open loop has no intended stamp"},
		"sent too early":     {func(c *sdk.Completion) { c.SentNs = c.IntendedNs - stampTolerance - 1 }, "request 1 was sent 0.001000 s before it was due"},
		"broken off before": {func(c *sdk.Completion) {
			c.SentNs, c.FirstNs, c.LastNs, c.OutputTokens, c.FinishReason = c.IntendedNs-2*stampTolerance, 0, 0, 0, "aborted"
		}, ""},
		"failed": {func(c *sdk.Completion) { c.IntendedNs += 1e9; c.Error, c.OutputTokens = "no slot", 0 }, "its intended stamp is +1.000000 s off"},
	} {
		err := run(w, c.change)
		var found *LieError
		switch {
		case c.lie == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.lie != "" && (!errors.As(err, &found) || !strings.Contains(found.What, c.lie) || !strings.Contains(found.Error(), "plugin p reported")):
			t.Errorf("%s: got %v, want %q", what, err, c.lie)
		}
	}
	// Without offsets all are due at once.
	if err := run(work(3), func(*sdk.Completion) {}); err != nil {
		t.Errorf("without offsets: %v", err)
	}
}
