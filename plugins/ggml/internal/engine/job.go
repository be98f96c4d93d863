package engine

import "github.com/llenergymeasure/llem/sdk"

// Job is a series of requests and what is to be told about them. All
// functions are called from the goroutine of Serve, between steps.
type Job struct {
	// Next hands out a request; false means that there will be no more.
	Next func() (Request, bool)
	// InFlight is how many requests are taken at once. Those beyond
	// Options.BatchSize wait for a slot.
	InFlight int
	// PrefillFirst: no sequence decodes before all have their first token, as
	// in a static batch. Otherwise prompts enter beside the decoding of others.
	PrefillFirst bool
	// StopAtEnd ends a sequence at the model's end token.
	StopAtEnd   bool
	Sampling    sdk.Sampling
	TokenStamps bool
	// Done gets each request's result, once.
	Done func(Result)
	// Stepped gets each step; may be nil.
	Stepped func(Step)
	// Prefilled is called whenever the last waiting first token has come and
	// nothing is queued; may be nil.
	Prefilled func()
}

// Request is a prompt to be continued.
type Request struct {
	Index     uint32 // names the request to the caller
	Prompt    []uint32
	MaxTokens int
}

// Reason is why a sequence ended.
type Reason string

// The reasons.
const (
	Length  Reason = "length" // MaxTokens were generated
	EndText Reason = "stop"   // the model's end token, which is counted
	Failed  Reason = "error"
	Aborted Reason = "aborted"
)

// Result is a request's outcome. Stamps are CLOCK_MONOTONIC in nanoseconds.
type Result struct {
	Index        uint32
	PromptTokens int // 0 where the prompt did not get through
	Output       []uint32
	SentNs       int64
	FirstNs      int64   // 0: no token came
	LastNs       int64   // 0: no token came
	TokenNs      []int64 // if Job.TokenStamps
	Reason       Reason
	Err          error
}

// Step is what one step held. Its end is the stamp of all its tokens.
type Step struct {
	EndNs         int64
	PrefillTokens int
	DecodeTokens  int
}
