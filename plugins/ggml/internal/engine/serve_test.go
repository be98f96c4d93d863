package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ollama/ollama/tokenizer"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/sdk"
)

// requests of different lengths; one prompt takes several steps.
func requests(vocab int) []Request {
	var list []Request
	for i, n := range []int{5, 700, 1, 30, 12, 3} {
		list = append(list, Request{Index: uint32(i), Prompt: prompt(i, n, vocab), MaxTokens: 6 + i})
	}
	return list
}

// outcome is all that a call of Serve told.
type outcome struct {
	results   []Result // in the order of their ends
	steps     []Step
	prefilled int
	err       error
}

func (o outcome) outputs() map[uint32][]uint32 {
	byIndex := map[uint32][]uint32{}
	for _, r := range o.results {
		byIndex[r.Index] = r.Output
	}
	return byIndex
}

func serveAll(ctx context.Context, e *Engine, list []Request, job Job) (o outcome) {
	list = slices.Clone(list)
	job.Next = func() (Request, bool) {
		if len(list) == 0 {
			return Request{}, false
		}
		next := list[0]
		list = list[1:]
		return next, true
	}
	stepped := job.Stepped
	job.Done = func(r Result) { o.results = append(o.results, r) }
	job.Stepped = func(s Step) {
		o.steps = append(o.steps, s)
		if stepped != nil {
			stepped(s)
		}
	}
	job.Prefilled = func() { o.prefilled++ }
	o.err = e.Serve(ctx, job)
	return o
}

// What a request gets does not depend on what is computed beside it.
func TestTokensDoNotDependOnTheBatch(t *testing.T) {
	path := tinyFile(t, dummy.F32)
	single := load(t, path, exactly(1, 720))
	list := requests(single.Facts.Vocab)
	for _, sampling := range []sdk.Sampling{{}, {Temperature: 0.8, TopK: 20, TopP: 0.9, Seed: 5}} {
		alone := serveAll(t.Context(), single, list, Job{InFlight: 1, Sampling: sampling})
		if alone.err != nil {
			t.Fatal(alone.err)
		}
		four := load(t, path, exactly(4, 720))
		for name, job := range map[string]Job{
			"static":            {InFlight: 4, PrefillFirst: true},
			"continuous":        {InFlight: 4},
			"continuous, queue": {InFlight: 6},
		} {
			job.Sampling = sampling
			together := serveAll(t.Context(), four, list, job)
			if together.err != nil {
				t.Fatal(together.err)
			}
			if diff := cmp.Diff(alone.outputs(), together.outputs()); diff != "" {
				t.Errorf("%s, sampling %+v: -alone +together\n%s", name, sampling, diff)
			}
		}
	}
}

func TestRecordsAreExact(t *testing.T) {
	e := load(t, tinyFile(t, dummy.F32), exactly(4, 720))
	list := requests(e.Facts.Vocab)
	for name, job := range map[string]Job{"static": {InFlight: 4, PrefillFirst: true}, "continuous": {InFlight: 4}} {
		t.Run(name, func(t *testing.T) {
			before := e.Counts()
			job.TokenStamps = true
			o := serveAll(t.Context(), e, list, job)
			if o.err != nil || len(o.results) != len(list) {
				t.Fatalf("%d of %d results, error %v", len(o.results), len(list), o.err)
			}
			var prompts, outputs, prefill, decode int
			ends := map[int64]bool{}
			last := int64(0)
			for i, s := range o.steps {
				prefill, decode = prefill+s.PrefillTokens, decode+s.DecodeTokens
				ends[s.EndNs] = true
				if s.PrefillTokens+s.DecodeTokens > MaxBatchTokens || s.EndNs <= last {
					t.Errorf("step %d: %+v after %d", i, s, last)
				}
				last = s.EndNs
			}
			for _, r := range o.results {
				want := list[r.Index]
				if len(r.Output) != want.MaxTokens || r.PromptTokens != len(want.Prompt) || r.Reason != Length || r.Err != nil {
					t.Errorf("request %d: %+v", r.Index, r)
				}
				if r.SentNs == 0 || r.FirstNs <= r.SentNs || r.LastNs <= r.FirstNs || !slices.IsSorted(r.TokenNs) ||
					len(r.TokenNs) != len(r.Output) || r.TokenNs[0] != r.FirstNs || r.TokenNs[len(r.TokenNs)-1] != r.LastNs {
					t.Errorf("request %d: stamps %d, %d to %d, tokens %v", r.Index, r.SentNs, r.FirstNs, r.LastNs, r.TokenNs)
				}
				for _, stamp := range r.TokenNs {
					if !ends[stamp] {
						t.Errorf("request %d: no step ended at %d", r.Index, stamp)
					}
				}
				prompts, outputs = prompts+len(want.Prompt), outputs+want.MaxTokens
			}
			// The first token of each sequence comes from its prompt.
			if prefill != prompts || decode != outputs-len(list) {
				t.Errorf("the steps had %d and %d tokens; the requests %d and %d", prefill, decode, prompts, outputs-len(list))
			}
			after := e.Counts()
			got := Counts{
				Steps: after.Steps - before.Steps, PromptTokens: after.PromptTokens - before.PromptTokens,
				OutputTokens: after.OutputTokens - before.OutputTokens, ScheduledTokens: after.ScheduledTokens - before.ScheduledTokens,
			}
			if want := (Counts{int64(len(o.steps)), int64(prompts), int64(outputs), int64(prefill + decode), 0}); got != want {
				t.Errorf("counted %+v; told %+v", got, want)
			}
		})
	}
}

// A static batch has all its first tokens before it decodes; a continuous one
// takes prompts in beside it.
func TestPromptsAndDecoding(t *testing.T) {
	e := load(t, tinyFile(t, dummy.F32), exactly(4, 720))
	list := requests(e.Facts.Vocab)[:4]
	static := serveAll(t.Context(), e, list, Job{InFlight: 4, PrefillFirst: true})
	if static.prefilled != 1 {
		t.Errorf("a static batch had its prompts through %d times", static.prefilled)
	}
	firstDecode := slices.IndexFunc(static.steps, func(s Step) bool { return s.DecodeTokens > 0 })
	for i, s := range static.steps {
		if s.PrefillTokens > 0 && i > firstDecode {
			t.Errorf("static: step %d %+v has prompt tokens after decoding began", i, s)
		}
	}
	continuous := serveAll(t.Context(), e, list, Job{InFlight: 2})
	if !slices.ContainsFunc(continuous.steps, func(s Step) bool { return s.PrefillTokens > 0 && s.DecodeTokens > 0 }) {
		t.Errorf("continuous: no step has both: %+v", continuous.steps)
	}
	for _, o := range []outcome{static, continuous} {
		if o.err != nil {
			t.Error(o.err)
		}
	}
}

func TestCancelBetweenSteps(t *testing.T) {
	e := load(t, tinyFile(t, dummy.F32), exactly(2, 720))
	list := requests(e.Facts.Vocab)
	want := serveAll(t.Context(), e, list, Job{InFlight: 4})
	stop := errors.New("enough")
	for _, after := range []int{1, 3, 5, 9} {
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		o := serveAll(ctx, e, list, Job{InFlight: 4, Stepped: func(Step) {
			if steps++; steps == after {
				cancel(stop)
			}
		}})
		if !errors.Is(o.err, stop) || len(o.steps) != after {
			t.Errorf("cancelled after step %d: error %v after %d steps", after, o.err, len(o.steps))
		}
		aborted := 0
		for _, r := range o.results {
			if r.Reason == Aborted {
				aborted++
			}
		}
		if aborted != 4 {
			t.Errorf("cancelled after step %d: %d of the 4 in flight are aborted", after, aborted)
		}
		// Nothing of them is left in the KV cache.
		again := serveAll(t.Context(), e, list, Job{InFlight: 4})
		if diff := cmp.Diff(want.outputs(), again.outputs()); diff != "" || again.err != nil {
			t.Errorf("after a cancel: %v\n%s", again.err, diff)
		}
	}
}

func TestRequestsThatCannotBeRunFailAlone(t *testing.T) {
	e := load(t, tinyFile(t, dummy.F32), exactly(2, 16))
	list := []Request{
		{Index: 0, Prompt: []uint32{1, 2}, MaxTokens: 3},
		{Index: 1, MaxTokens: 3},
		{Index: 2, Prompt: []uint32{1}, MaxTokens: 16},
		{Index: 3, Prompt: []uint32{uint32(e.Facts.Vocab)}, MaxTokens: 3},
		{Index: 4, Prompt: []uint32{1}},
		{Index: 5, Prompt: []uint32{4, 5}, MaxTokens: 14},
	}
	o := serveAll(t.Context(), e, list, Job{InFlight: 2})
	if o.err != nil {
		t.Fatal(o.err)
	}
	var told []string
	for _, r := range o.results {
		told = append(told, fmt.Sprint(r.Index, " ", r.Reason, " ", len(r.Output), " ", r.Err != nil))
	}
	slices.Sort(told)
	want := []string{"0 length 3 false", "1 error 0 true", "2 error 0 true", "3 error 0 true", "4 error 0 true", "5 length 14 false"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// endsWith takes one token for the end of texts.
type endsWith struct {
	tokenizer.Tokenizer
	id int32
}

func (e endsWith) Is(id int32, _ tokenizer.Special) bool { return id == e.id }

func TestEndTokenCountsAndEnds(t *testing.T) {
	e := load(t, tinyFile(t, dummy.F32), exactly(1, 64))
	list := []Request{{Prompt: prompt(3, 8, e.Facts.Vocab), MaxTokens: 20}}
	free := serveAll(t.Context(), e, list, Job{InFlight: 1}).results[0].Output
	e.text = endsWith{e.text, int32(free[4])}
	want := free[:slices.Index(free, free[4])+1]
	for stopAtEnd, want := range map[bool][]uint32{false: free, true: want} {
		r := serveAll(t.Context(), e, list, Job{InFlight: 1, StopAtEnd: stopAtEnd}).results[0]
		if !slices.Equal(r.Output, want) || (r.Reason == EndText) != stopAtEnd {
			t.Errorf("stop at end %v: %v for the reason %s, want %v", stopAtEnd, r.Output, r.Reason, want)
		}
	}
}
