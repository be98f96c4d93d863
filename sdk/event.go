package sdk

// Record is how much each completion carries.
type Record string

// The levels of recording.
const (
	RecordRequest Record = "request" // first and last stamp
	RecordChunk   Record = "chunk"   // a stamp and a count for each arrival
	RecordToken   Record = "token"   // a stamp for each token
)

// RunSpec is what a Run is to do.
type RunSpec struct {
	WorkID          string
	First           uint32 // index of the first item to send
	Loop            Loop
	Concurrency     uint32 // closed loop
	RequestsPerPass uint32 // batch loop
	Record          Record
	RecordSteps     bool
	HeartbeatMs     uint32 // 0 = 1000
	MaxPasses       uint32 // 0 = no limit; likewise below
	MaxRequests     uint32
	MaxDurationNs   int64
	// GapNsMost asks for idle time between passes, uniform from 0 to it and
	// seeded by GapSeed; 0 = none. Run.Passes waits it.
	GapNsMost int64
	GapSeed   uint32
}

// RunEvent is one of Started, Heartbeat, Pass, Completions, Steps, Finished.
type RunEvent interface{ runEvent() }

// Started says when the Run began.
type Started struct{ MonoNs int64 }

// Heartbeat counts since the Run's start.
type Heartbeat struct {
	MonoNs       int64
	Sent         int64
	Done         int64
	Failed       int64
	InFlight     int64
	OutputTokens int64
}

// PassRecord is one whole batch pass. Its energy lies between its stamps,
// which are taken after the edge synchronisation that the backend declares.
type PassRecord struct {
	Index         uint32
	BeginNs       int64
	EndNs         int64
	FirstRequest  uint32
	Requests      uint32
	Failed        uint32
	PromptTokens  int64
	OutputTokens  int64
	PaddingTokens int64
	// PrefillEndNs is when the first token of every sequence of a single
	// batch was on the device; 0 = not known.
	PrefillEndNs int64
}

// Completion is one request's outcome.
type Completion struct {
	Request      uint32 // index of the work item
	IntendedNs   int64  // open loop: the Run's start + ArrivalOffsetNs, to 1 ms; else 0: as sent, or as its pass began
	SentNs       int64  // when it, or its static batch, went to the engine, or was tried to; never 0
	FirstNs      int64  // first token, 0 if none came
	LastNs       int64  // last token, 0 if none came
	PromptTokens uint32
	OutputTokens uint32
	// CachedPromptTokens is nil where the engine does not say.
	CachedPromptTokens *uint32
	// OutputHash of the ids that came back; nil where they are not known.
	OutputHash *uint64
	// FinishReason: "length", "stop", "error", "aborted".
	FinishReason string
	// Error is set if the request failed; the counts are then what had come.
	Error string
	// Chunks are the arrivals, by RunSpec.Record.
	Chunks []Chunk
}

// Chunk is one arrival of output.
type Chunk struct {
	MonoNs int64
	Tokens uint32
}

// Failed tells whether the request brought an error.
func (c Completion) Failed() bool { return c.Error != "" }

// Completions is a batch of completions.
type Completions []Completion

// Step is one step of the engine.
type Step struct {
	EndNs         int64
	PrefillTokens uint32
	DecodeTokens  uint32
}

// Steps is a batch of steps, in order.
type Steps []Step

// FinishReason says why a Run ended.
type FinishReason string

// The reasons for a Run's end.
const (
	FinishStopped    FinishReason = "stopped"
	FinishLimit      FinishReason = "limit"
	FinishWorkUsedUp FinishReason = "work_used_up"
	FinishAborted    FinishReason = "aborted"
)

// Finished ends a Run's events. Its totals prove that nothing was lost.
type Finished struct {
	MonoNs       int64
	Reason       FinishReason
	Before       *Counters // nil: the backend reports none
	After        *Counters
	Applied      RunSpec
	Completions  int64
	Passes       int64
	OutputTokens int64
	// Warnings are notes of this Run that belong in the result.
	Warnings []Warning
	// Client is nil where the engine serves itself: no client made the load.
	Client *ClientHealth
}

func (Started) runEvent()     {}
func (Heartbeat) runEvent()   {}
func (PassRecord) runEvent()  {}
func (Completions) runEvent() {}
func (Steps) runEvent()       {}
func (Finished) runEvent()    {}

// StopKind is how a Run is to end.
type StopKind string

// The kinds of Stop.
const (
	StopNone      StopKind = ""
	StopAfterPass StopKind = "after_pass" // finish the pass that runs
	StopDrain     StopKind = "drain"      // send no more, wait for the rest
	StopAbort     StopKind = "abort"      // break off what is in flight
)
