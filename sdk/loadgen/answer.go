package loadgen

import (
	"github.com/llenergymeasure/llem/sdk"
)

// grammar is how the events of a Run are read, and what is kept of them.
type grammar struct {
	root       *node
	cumulative bool
	observe    func(request uint32, ns int64, event []byte)
	request    uint32 // whose events are being read
}

// event reads one event that arrived at ns.
func (a *answer) event(data []byte, ns int64, g *grammar) {
	if g.observe != nil {
		g.observe(g.request, ns, data)
	}
	if string(data) == "[DONE]" {
		a.done = true
		return
	}
	f := &a.fields
	*f = fields{ids: f.ids[:0]}
	if err := scan(data, g.root, f); err != nil {
		a.broken++
		return
	}
	if f.fault != nil && a.fault == "" {
		a.fault = oneLine(f.fault)
	}
	if f.hasFinish {
		a.finish = string(f.finish)
	}
	usageBefore := a.usageEvents
	rise := int64(0)
	if f.hasOutput {
		rise = f.outputTokens - a.output
		a.output = f.outputTokens
		a.usageEvents++
	}
	tokens := a.tokens(f, g, rise, usageBefore)
	a.closed = a.closed && !f.hasOutput || f.hasOutput && usageBefore == 0 && tokens == 0
	if f.hasPrompt {
		a.prompt, a.hasPrompt = f.promptTokens, true
	}
	if f.hasCache {
		n := uint32(f.cachedTokens)
		a.cached = &n
	}
	if tokens == 0 {
		return
	}
	if n := len(a.chunks); n > 0 && a.chunks[n-1].MonoNs == ns {
		a.merged++
	}
	a.chunks = append(a.chunks, sdk.Chunk{MonoNs: ns, Tokens: tokens})
}

// tokens returns how many tokens the event brought: by its ids, else by the
// rise of the server's count where it comes with each event, else one for an
// event with text.
func (a *answer) tokens(f *fields, g *grammar, rise int64, usageBefore int) uint32 {
	ids := f.ids
	text := len(f.text) > 0
	if g.cumulative {
		ids = ids[min(len(a.ids), len(ids)):]
		text = len(f.text) > a.textLen
		a.textLen = max(a.textLen, len(f.text))
	}
	a.ids = append(a.ids, ids...)
	switch {
	case len(ids) > 0:
		return uint32(len(ids))
	case len(a.ids) > 0, !text:
		return 0
	case rise > 0 && usageBefore == len(a.chunks):
		return uint32(rise)
	}
	return 1
}
