package engine

import "github.com/llenergymeasure/llem/sdk"

// sequence is one request in the engine.
type sequence struct {
	request sdk.Request
	want    uint32 // tokens that it will get
	done    sdk.Completion

	completed bool
}

func newSequence(request sdk.Request, sentNs int64, work *sdk.Work) *sequence {
	s := &sequence{
		request: request, want: request.Item.MaxTokens,
		done: sdk.Completion{
			Request: request.Index, SentNs: sentNs, PromptTokens: uint32(len(request.Item.TokenIDs)), FinishReason: "length",
		},
	}
	if !work.ExactLengths && s.want > 0 {
		// A natural length: the prompt decides.
		if natural := 1 + digest(request.Item.TokenIDs)%s.want; natural < s.want {
			s.want, s.done.FinishReason = natural, "stop"
		}
	}
	return s
}

func (s *sequence) over() bool { return s.done.OutputTokens >= s.want }

// token takes the token that a step brought.
func (s *sequence) token(ns int64, record sdk.Record) {
	if s.over() {
		return // it asked for no token at all
	}
	if s.done.OutputTokens == 0 {
		s.done.FirstNs = ns
	}
	s.done.LastNs = ns
	s.done.OutputTokens++
	if record != sdk.RecordRequest {
		s.done.Chunks = append(s.done.Chunks, sdk.Chunk{MonoNs: ns, Tokens: 1})
	}
}

// complete records the outcome, as a fault may have spoilt it.
func (e *Engine) complete(run *sdk.Run, s *sequence) {
	hash := sdk.OutputHash(outputOf(s.request.Item.TokenIDs, s.done.OutputTokens))
	s.done.OutputHash = &hash
	switch {
	case e.faultDue(miscount, run) && s.done.OutputTokens > 0:
		s.done.OutputTokens--
	case e.faultDue(stampsOut, run):
		s.done.SentNs = run.BeginNs() - 1e9
	case e.faultDue(failRequests, run):
		s.done.Error, s.done.FinishReason = "simulated failure of a request", "error"
	}
	s.completed = true
	run.Complete(s.done)
}

// abort records sequences that were broken off.
func (e *Engine) abort(run *sdk.Run, sequences []*sequence) {
	for _, s := range sequences {
		s.done.FinishReason = "aborted"
		e.complete(run, s)
	}
}

// outputOf makes up the output: the same for the same prompt, always.
func outputOf(prompt []uint32, tokens uint32) []uint32 {
	ids := make([]uint32, tokens)
	next := digest(prompt)
	for i := range ids {
		next = next*1664525 + 1013904223
		ids[i] = next % vocab
	}
	return ids
}

// digest is FNV-1a over the ids, mixed once more: its low bits follow the ids
// too closely.
func digest(ids []uint32) uint32 {
	hash := uint32(2166136261)
	for _, id := range ids {
		hash = (hash ^ id) * 16777619
	}
	hash ^= hash >> 16
	hash *= 0x7feb352d
	return hash ^ hash>>15
}
