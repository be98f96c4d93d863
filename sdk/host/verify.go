package host

import (
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// stampTolerance is how far a stamp may lie outside what the host saw itself, and
// an intended one from its place in the schedule: two processes read one clock, but
// a runtime may convert its readings.
const stampTolerance = int64(time.Millisecond)

// preparedWork is what the host keeps of a work, to know what its completions
// must say.
type preparedWork struct {
	exact     bool
	prompt    []uint32 // tokens of each request's prompt
	maxTokens []uint32
	arrivalNs []int64 // of each request, after the Run's start; nil: no schedule
}

func keepWork(work *sdk.Work) preparedWork {
	kept := preparedWork{exact: work.ExactLengths}
	for i, item := range work.Items {
		kept.prompt = append(kept.prompt, uint32(len(item.TokenIDs)))
		kept.maxTokens = append(kept.maxTokens, item.MaxTokens)
		if item.ArrivalOffsetNs != 0 && kept.arrivalNs == nil {
			kept.arrivalNs = make([]int64, len(work.Items))
		}
		if kept.arrivalNs != nil {
			kept.arrivalNs[i] = item.ArrivalOffsetNs
		}
	}
	return kept
}

// verifier holds a Run's events against each other, against the work and
// against the clock.
type verifier struct {
	plugin string
	spec   sdk.RunSpec
	work   preparedWork

	asked        int64 // when the host asked for the Run
	began        int64 // 0: not started
	beat         sdk.Heartbeat
	lastStep     int64
	lastPassEnd  int64
	passes       int64
	completions  int64
	outputTokens int64
	seen         map[uint32]bool
	latest       int64 // greatest stamp of a completion, pass or step
	partial      int64 // index of the first pass without all its requests, or -1
	since        sincePass
}

// sincePass sums the completions since the last pass record.
type sincePass struct {
	requests, failed           uint32
	promptTokens, outputTokens int64
	low, high                  uint32 // of the requests
	latest                     int64
}

func newVerifier(plugin string, spec sdk.RunSpec, work preparedWork) *verifier {
	return &verifier{plugin: plugin, spec: spec, work: work, asked: sdk.MonoNow(), seen: map[uint32]bool{}, partial: -1}
}

func (v *verifier) lie(format string, args ...any) error {
	return &LieError{Plugin: v.plugin, Phase: "run", What: fmt.Sprintf(format, args...)}
}

// event judges one event by all that came before it.
func (v *verifier) event(e sdk.RunEvent) error {
	if started, ok := e.(sdk.Started); ok {
		return v.started(started)
	}
	if v.began == 0 {
		return v.lie("an event came before the Run's start")
	}
	switch x := e.(type) {
	case sdk.Heartbeat:
		return v.heartbeat(x)
	case sdk.Completions:
		for _, c := range x {
			if err := v.completion(c); err != nil {
				return err
			}
		}
	case sdk.PassRecord:
		return v.pass(x)
	case sdk.Steps:
		return v.steps(x)
	case sdk.Finished:
		return v.finished(x)
	}
	return nil
}

func (v *verifier) started(s sdk.Started) error {
	switch now := sdk.MonoNow(); {
	case v.began != 0:
		return v.lie("the Run started twice")
	case s.MonoNs < v.asked-stampTolerance:
		return v.lie("the Run started %.3f s before it was asked for", float64(v.asked-s.MonoNs)/1e9)
	case s.MonoNs > now+stampTolerance:
		return v.lie("the Run started %.3f s in the future", float64(s.MonoNs-now)/1e9)
	}
	v.began, v.lastPassEnd, v.latest, v.beat.MonoNs = s.MonoNs, s.MonoNs, s.MonoNs, s.MonoNs
	return nil
}

func (v *verifier) heartbeat(b sdk.Heartbeat) error {
	last := v.beat
	switch {
	case b.MonoNs < last.MonoNs:
		return v.lie("a heartbeat is older than the one before it, or than the Run")
	case b.Sent < last.Sent || b.Done < last.Done || b.Failed < last.Failed || b.OutputTokens < last.OutputTokens:
		return v.lie("a heartbeat counts less than the one before it")
	}
	v.beat = b
	return nil
}

func (v *verifier) steps(steps sdk.Steps) error {
	if !v.spec.RecordSteps {
		return v.lie("steps came that nobody asked for")
	}
	for _, s := range steps {
		if s.EndNs < v.began || s.EndNs < v.lastStep {
			return v.lie("a step ended before the one before it, or before the Run began")
		}
		v.lastStep = s.EndNs
	}
	v.latest = max(v.latest, v.lastStep)
	return nil
}

func (v *verifier) completion(c sdk.Completion) error {
	switch {
	case c.Request < v.spec.First || int(c.Request) >= len(v.work.prompt):
		return v.lie("request %d was completed and the Run has %d to %d", c.Request, v.spec.First, len(v.work.prompt)-1)
	case v.seen[c.Request]:
		return v.lie("request %d was completed twice", c.Request)
	case c.SentNs < v.began:
		return v.lie("request %d was sent %.3f s before the Run began", c.Request, float64(v.began-c.SentNs)/1e9)
	case c.FirstNs != 0 && c.FirstNs < c.SentNs:
		return v.lie("request %d has its first token before it was sent", c.Request)
	case c.LastNs < c.FirstNs:
		return v.lie("request %d has its last token before its first", c.Request)
	case c.OutputTokens > 0 && c.FirstNs == 0 && !c.Failed():
		return v.lie("request %d has output and no stamp of it", c.Request)
	}
	if err := v.arrival(c); err != nil {
		return err
	}
	if err := v.lengths(c); err != nil {
		return err
	}
	if err := v.chunks(c); err != nil {
		return err
	}
	v.seen[c.Request] = true
	v.completions++
	v.outputTokens += int64(c.OutputTokens)
	v.latest = max(v.latest, c.LastNs, c.SentNs)
	s := &v.since
	if s.requests == 0 {
		s.low, s.high = c.Request, c.Request
	}
	s.low, s.high = min(s.low, c.Request), max(s.high, c.Request)
	s.latest = max(s.latest, c.LastNs)
	s.requests++
	s.promptTokens += int64(c.PromptTokens)
	s.outputTokens += int64(c.OutputTokens)
	if c.Failed() {
		s.failed++
	}
	return nil
}

// arrival holds a completion of an open loop against the schedule: it was due at
// its arrival after the Run's start, and not sent before. How late it was sent is
// the backend's affair, and measured.
func (v *verifier) arrival(c sdk.Completion) error {
	if v.spec.Loop != sdk.LoopOpen {
		return nil
	}
	dueNs := v.began
	if v.work.arrivalNs != nil {
		dueNs += v.work.arrivalNs[c.Request]
	}
	switch off := c.IntendedNs - dueNs; {
	case c.IntendedNs == 0:
		return v.lie("request %d of an open loop has no intended stamp", c.Request)
	case off < -stampTolerance || off > stampTolerance:
		return v.lie("request %d was due %.6f s after the Run's start, and its intended stamp is %+.6f s off", c.Request, float64(dueNs-v.began)/1e9, float64(off)/1e9)
	case c.SentNs < dueNs-stampTolerance && c.FinishReason != finishAborted: // it never was sent
		return v.lie("request %d was sent %.6f s before it was due", c.Request, float64(dueNs-c.SentNs)/1e9)
	}
	return nil
}

// lengths holds a completion against the request that was prepared. One that
// failed or was broken off may have less.
func (v *verifier) lengths(c sdk.Completion) error {
	prompt, most := v.work.prompt[c.Request], v.work.maxTokens[c.Request]
	whole := !c.Failed() && c.FinishReason != finishAborted
	switch {
	case c.OutputTokens > most:
		return v.lie("request %d has %d output tokens and may have %d", c.Request, c.OutputTokens, most)
	case whole && v.work.exact && c.OutputTokens != most:
		return v.lie("request %d has %d output tokens; exact lengths ask for %d", c.Request, c.OutputTokens, most)
	case whole && c.PromptTokens != prompt:
		return v.lie("request %d has %d prompt tokens; %d were prepared", c.Request, c.PromptTokens, prompt)
	}
	return nil
}

// finishAborted is a completion's finish reason after Stop(abort).
const finishAborted = "aborted"

func (v *verifier) chunks(c sdk.Completion) error {
	var tokens int64
	before := c.SentNs
	for _, chunk := range c.Chunks {
		if chunk.MonoNs < before {
			return v.lie("request %d has chunks that go back in time", c.Request)
		}
		before = chunk.MonoNs
		tokens += int64(chunk.Tokens)
	}
	switch {
	case len(c.Chunks) == 0:
		return nil
	case tokens != int64(c.OutputTokens):
		return v.lie("request %d has %d tokens in its chunks and %d in all", c.Request, tokens, c.OutputTokens)
	case before > c.LastNs:
		return v.lie("request %d has a chunk after its last token", c.Request)
	}
	return nil
}

func (v *verifier) pass(p sdk.PassRecord) error {
	s := v.since
	first := int64(v.spec.First) + v.passes*int64(v.spec.RequestsPerPass)
	end := first + int64(v.spec.RequestsPerPass)
	switch {
	case int64(p.Index) != v.passes:
		return v.lie("pass %d came where pass %d was expected", p.Index, v.passes)
	case int64(p.FirstRequest) != first:
		return v.lie("pass %d begins with request %d; %d was its turn", p.Index, p.FirstRequest, first)
	case p.BeginNs < v.lastPassEnd:
		return v.lie("pass %d begins before the one before it ended, or before the Run", p.Index)
	case p.EndNs <= p.BeginNs:
		return v.lie("pass %d ends %d ns after its begin", p.Index, p.EndNs-p.BeginNs)
	case p.PrefillEndNs != 0 && (p.PrefillEndNs < p.BeginNs || p.PrefillEndNs > p.EndNs):
		return v.lie("pass %d has its prefill's end outside it", p.Index)
	case p.Requests != s.requests || p.Failed != s.failed || p.PromptTokens != s.promptTokens || p.OutputTokens != s.outputTokens:
		return v.lie("pass %d claims %d requests, %d failed, %d prompt and %d output tokens; its completions have %d, %d, %d and %d",
			p.Index, p.Requests, p.Failed, p.PromptTokens, p.OutputTokens, s.requests, s.failed, s.promptTokens, s.outputTokens)
	case s.requests > 0 && (int64(s.low) < first || int64(s.high) >= end):
		return v.lie("pass %d has requests %d to %d; its own are %d to %d", p.Index, s.low, s.high, first, end-1)
	case s.latest > p.EndNs:
		return v.lie("pass %d ended before its last token came", p.Index)
	}
	if p.Requests != v.spec.RequestsPerPass && v.partial < 0 {
		v.partial = int64(p.Index)
	}
	v.passes++
	v.lastPassEnd = p.EndNs
	v.latest = max(v.latest, p.EndNs)
	v.since = sincePass{}
	return nil
}

func (v *verifier) finished(f sdk.Finished) error {
	now := sdk.MonoNow()
	aborted := f.Reason == sdk.FinishAborted
	switch {
	case f.Completions != v.completions || f.Passes != v.passes && !aborted || f.OutputTokens != v.outputTokens:
		return v.lie("it counted %d completions, %d passes and %d tokens; %d, %d and %d arrived",
			f.Completions, f.Passes, f.OutputTokens, v.completions, v.passes, v.outputTokens)
	case v.beat.Done > f.Completions || v.beat.OutputTokens > f.OutputTokens:
		return v.lie("a heartbeat counted %d completions with %d tokens, the end %d with %d",
			v.beat.Done, v.beat.OutputTokens, f.Completions, f.OutputTokens)
	case !aborted && v.partial >= 0:
		return v.lie("pass %d does not have all its %d requests", v.partial, v.spec.RequestsPerPass)
	case !aborted && v.spec.Loop == sdk.LoopBatch && v.since.requests > 0:
		return v.lie("%d requests of a batch loop were completed outside any pass", v.since.requests)
	case f.MonoNs < v.latest || f.MonoNs < v.beat.MonoNs:
		return v.lie("the Run ended before its last record")
	case f.MonoNs > now+stampTolerance:
		return v.lie("the Run ended %.3f s in the future", float64(f.MonoNs-now)/1e9)
	case f.Applied != v.spec:
		return v.lie("it ran %+v and was told %+v", f.Applied, v.spec)
	}
	return nil
}
