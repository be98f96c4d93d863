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
	first := f.hasOutput && a.usageEvents == 0
	rise := int64(0)
	if f.hasOutput {
		rise = f.outputTokens - a.output
		a.output = f.outputTokens
		a.usageEvents++
	}
	tokens := a.tokens(f, g, rise)
	a.closed = a.closed && !f.hasOutput || first && tokens == 0
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
	if f.hasOutput {
		a.counted++
	}
	a.chunks = append(a.chunks, sdk.Chunk{MonoNs: ns, Tokens: tokens})
}

// tokens returns how many tokens the event brought: by the rise of the server's
// count where it comes with each event, by its ids, else one for an event with text.
// A count may rise by more than the ids: llama.cpp holds a token back whose text ends
// within a character, and never sends its id.
func (a *answer) tokens(f *fields, g *grammar, rise int64) uint32 {
	ids := f.ids
	text := len(f.text) > 0
	if g.cumulative {
		ids = ids[min(len(a.ids), len(ids)):]
		text = len(f.text) > a.textLen
		a.textLen = max(a.textLen, len(f.text))
	}
	a.ids = append(a.ids, ids...)
	output := len(ids) > 0 || text && len(a.ids) == 0
	// All that there was may have been held back: less than a character's four bytes.
	allHeld := f.hasFinish && len(a.chunks) == 0 && rise < 4
	switch {
	case rise > 0 && a.counted == len(a.chunks) && (output || a.counted > 0 || allHeld):
		return max(uint32(rise), uint32(len(ids)))
	case len(ids) > 0:
		return uint32(len(ids))
	case output:
		return 1
	}
	return 0
}
