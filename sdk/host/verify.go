package host

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// verifier holds a Run's events against each other.
type verifier struct {
	plugin string
	spec   sdk.RunSpec

	began        int64 // 0: not started
	lastBeat     int64
	lastPassEnd  int64
	passes       int64
	completions  int64
	outputTokens int64
	seen         map[uint32]bool
	latest       int64 // greatest stamp of a completion or pass
	// Of completions since the last pass record.
	passRequests, passFailed      uint32
	passPromptTok, passOutputToks int64
}

func newVerifier(plugin string, spec sdk.RunSpec) *verifier {
	return &verifier{plugin: plugin, spec: spec, seen: map[uint32]bool{}}
}

func (v *verifier) lie(format string, args ...any) error {
	return &LieError{Plugin: v.plugin, What: fmt.Sprintf(format, args...)}
}

// event judges one event by all that came before it.
func (v *verifier) event(e sdk.RunEvent) error {
	if started, ok := e.(sdk.Started); ok {
		if v.began != 0 {
			return v.lie("the Run started twice")
		}
		v.began, v.lastPassEnd = started.MonoNs, started.MonoNs
		return nil
	}
	if v.began == 0 {
		return v.lie("an event came before the Run's start")
	}
	switch x := e.(type) {
	case sdk.Heartbeat:
		if x.MonoNs < v.lastBeat || x.MonoNs < v.began {
			return v.lie("a heartbeat is older than the one before it")
		}
		v.lastBeat = x.MonoNs
	case sdk.Completions:
		for _, c := range x {
			if err := v.completion(c); err != nil {
				return err
			}
		}
	case sdk.PassRecord:
		return v.pass(x)
	case sdk.Steps:
		for _, s := range x {
			v.latest = max(v.latest, s.EndNs)
		}
	case sdk.Finished:
		return v.finished(x)
	}
	return nil
}

func (v *verifier) completion(c sdk.Completion) error {
	switch {
	case c.Request < v.spec.First:
		return v.lie("request %d was completed and the Run begins with %d", c.Request, v.spec.First)
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
	var chunked int64
	before := c.SentNs
	for _, chunk := range c.Chunks {
		if chunk.MonoNs < before {
			return v.lie("request %d has chunks that go back in time", c.Request)
		}
		before = chunk.MonoNs
		chunked += int64(chunk.Tokens)
	}
	if len(c.Chunks) > 0 && chunked != int64(c.OutputTokens) {
		return v.lie("request %d has %d tokens in its chunks and %d in all", c.Request, chunked, c.OutputTokens)
	}
	v.seen[c.Request] = true
	v.completions++
	v.outputTokens += int64(c.OutputTokens)
	v.latest = max(v.latest, c.LastNs, c.SentNs)
	v.passRequests++
	v.passPromptTok += int64(c.PromptTokens)
	v.passOutputToks += int64(c.OutputTokens)
	if c.Failed() {
		v.passFailed++
	}
	return nil
}

func (v *verifier) pass(p sdk.PassRecord) error {
	switch {
	case int64(p.Index) != v.passes:
		return v.lie("pass %d came where pass %d was expected", p.Index, v.passes)
	case p.BeginNs < v.lastPassEnd:
		return v.lie("pass %d begins before the one before it ended, or before the Run", p.Index)
	case p.EndNs <= p.BeginNs:
		return v.lie("pass %d ends %d ns after its begin", p.Index, p.EndNs-p.BeginNs)
	case p.PrefillEndNs != 0 && (p.PrefillEndNs < p.BeginNs || p.PrefillEndNs > p.EndNs):
		return v.lie("pass %d has its prefill's end outside it", p.Index)
	case p.Requests != v.passRequests || p.Failed != v.passFailed || p.PromptTokens != v.passPromptTok || p.OutputTokens != v.passOutputToks:
		return v.lie("pass %d claims %d requests, %d prompt and %d output tokens; its completions have %d, %d and %d",
			p.Index, p.Requests, p.PromptTokens, p.OutputTokens, v.passRequests, v.passPromptTok, v.passOutputToks)
	}
	v.passes++
	v.lastPassEnd = p.EndNs
	v.latest = max(v.latest, p.EndNs)
	v.passRequests, v.passFailed, v.passPromptTok, v.passOutputToks = 0, 0, 0, 0
	return nil
}

func (v *verifier) finished(f sdk.Finished) error {
	now := sdk.MonoNow()
	switch {
	case f.Completions != v.completions || f.Passes != v.passes && f.Reason != sdk.FinishAborted || f.OutputTokens != v.outputTokens:
		return v.lie("it counted %d completions, %d passes and %d tokens; %d, %d and %d arrived",
			f.Completions, f.Passes, f.OutputTokens, v.completions, v.passes, v.outputTokens)
	case f.MonoNs < v.latest:
		return v.lie("the Run ended before its last record")
	case f.MonoNs > now:
		return v.lie("the Run ended %.3f s in the future", float64(f.MonoNs-now)/1e9)
	case f.Applied != v.spec:
		return v.lie("it ran %+v and was told %+v", f.Applied, v.spec)
	}
	return nil
}
