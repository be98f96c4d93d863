package loadgen

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// completion settles a request that has ended and whose answer is decoded.
func (s *stream) completion(record sdk.Record, tally *tally) sdk.Completion {
	a := &s.answer
	c := sdk.Completion{
		Request: s.request, IntendedNs: s.intended, SentNs: s.sent,
		PromptTokens: uint32(len(s.item.TokenIDs)), CachedPromptTokens: a.cached,
		FinishReason: finishReason(a.finish),
	}
	if s.sent == 0 {
		// Its connection never came up: it belongs where it was tried.
		c.SentNs = s.tried
	}
	if s.aborted {
		c.FinishReason = "aborted"
	} else if reason := s.verdict(); reason != "" {
		c.FinishReason, c.Error = "error", reason
	}
	c.OutputTokens = s.count(c, tally)
	if a.hasPrompt {
		if a.prompt != int64(len(s.item.TokenIDs)) {
			tally.promptsDiffer++
		}
		c.PromptTokens = uint32(a.prompt)
	}
	if n := len(a.chunks); n > 0 {
		c.FirstNs, c.LastNs = a.chunks[0].MonoNs, a.chunks[n-1].MonoNs
	}
	if len(a.ids) > 0 && len(a.ids) == int(c.OutputTokens) { // some servers hold ids back
		hash := sdk.OutputHash(a.ids)
		c.OutputHash = &hash
	}
	switch record {
	case sdk.RecordChunk:
		c.Chunks = a.chunks
		a.chunks = nil
	case sdk.RecordToken:
		c.Chunks = make([]sdk.Chunk, 0, c.OutputTokens)
		for _, chunk := range a.chunks {
			for range chunk.Tokens {
				c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: chunk.MonoNs, Tokens: 1})
			}
		}
	}
	tally.add(s, c)
	return c
}

// count decides how many tokens came: the ids themselves, else the server's
// count at the end, else the chunks. Chunks always add up to the result; where
// only the end tells how many tokens there were, they are spread evenly.
func (s *stream) count(c sdk.Completion, tally *tally) uint32 {
	a := &s.answer
	var inChunks int64
	for _, chunk := range a.chunks {
		inChunks += int64(chunk.Tokens)
	}
	ended := c.Error == "" && c.FinishReason != "aborted"
	usage := a.usageEvents > 0
	tally.chunks += int64(len(a.chunks))
	if usage {
		tally.usage += a.output
		tally.withUsage++
	}
	if len(a.ids) > 0 {
		tally.ids += int64(len(a.ids))
		tally.withIDs++
	}
	if ended && usage && a.output != inChunks {
		tally.countsDiffer++
	}
	if !ended || !usage || len(a.ids) > 0 || a.output == inChunks || len(a.chunks) == 0 {
		if len(a.chunks) == 0 && ended && usage {
			return uint32(a.output)
		}
		return uint32(inChunks)
	}
	tally.spread++
	spread(a.chunks, a.output)
	return uint32(a.output)
}

// spread divides total over the chunks as evenly as whole numbers go.
func spread(chunks []sdk.Chunk, total int64) {
	n, before := int64(len(chunks)), int64(0)
	for i := range chunks {
		upTo := total * int64(i+1) / n
		chunks[i].Tokens = uint32(upTo - before)
		before = upTo
	}
}

// finishReason translates what servers write.
func finishReason(text string) string {
	switch text {
	case "limit", "max_tokens":
		return "length"
	case "eos", "eos_token", "word", "stop_sequence":
		return "stop"
	}
	return text
}

// tally counts over the requests of a Run.
type tally struct {
	exact                     bool // every request has a length of its own
	done, failed, aborted     int64
	tokens                    int64
	chunks, merged            int64
	usage, ids                int64
	withUsage, withIDs        int64
	countsDiffer, spread      int64
	promptsDiffer, otherSizes int64
	broken, unclean           int64
	failures                  map[string]int64
	firstFailure              map[string]string
}

func (t *tally) add(s *stream, c sdk.Completion) {
	t.done++
	t.tokens += int64(c.OutputTokens)
	t.merged += s.answer.merged
	t.broken += int64(s.answer.broken)
	switch {
	case c.FinishReason == "aborted":
		t.aborted++
	case c.Failed():
		t.failed++
		code := failureCode(c.Error)
		if t.failures == nil {
			t.failures, t.firstFailure = map[string]int64{}, map[string]string{}
		}
		if t.failures[code]++; t.failures[code] == 1 {
			t.firstFailure[code] = fmt.Sprintf("request %d: %s", c.Request, c.Error)
		}
	default:
		if s.cut != "" {
			t.unclean++
		}
		// An answer of natural length may end by itself, but not be cut short.
		if most := s.item.MaxTokens; c.OutputTokens > most || c.OutputTokens < most && (t.exact || c.FinishReason == "length") {
			t.otherSizes++
		}
	}
}

// failureCode is what stands before the colon of a failed request's error.
func failureCode(text string) string {
	for i, c := range text {
		if c == ':' {
			return text[:i]
		}
	}
	return text
}
