package sdk

import "context"

// Backend is an inference engine. One process serves one load: it touches no
// device before Load, and exits after Unload.
//
// The calls come one at a time, in the order Describe, Load, Run (any number
// of times), Unload; package serve refuses any other order. A backend that
// can also judge cells, tokenise, take prepared work early or report counters
// has the methods of Checker, Tokenizer, Preparer or Counting besides.
type Backend interface {
	// Describe returns the same value at every call.
	Describe() Description
	// Load brings the engine to where it could answer a request. It reports
	// what the engine really uses, read back from it. A ctx that ends means:
	// give up and free everything.
	Load(ctx context.Context, req LoadRequest, progress *Progress) (LoadReport, error)
	// Run drives prepared requests through the engine by ranging over
	// run.Passes or run.Requests, and records what happens on run. Those
	// iterators end when it is time to stop. A ctx that ends means: abandon
	// what is in flight now; Run then returns within Abilities.MaxCancelMs.
	Run(ctx context.Context, run *Run) error
	// Unload frees everything. It may be called after a failed Load.
	Unload(ctx context.Context) error
}

// Tokenizer is a backend that can turn text into token ids of its model.
type Tokenizer interface {
	// Tokenize returns one id sequence for each text, in order.
	Tokenize(ctx context.Context, texts []string) ([][]uint32, error)
}

// Preparer is a backend that wants to see work before it runs, for example to
// copy it to a device. It is called outside every measured window.
type Preparer interface {
	Prepare(ctx context.Context, work *Work) error
}

// Counting is a backend that reports its engine's own counters.
type Counting interface {
	Counters(ctx context.Context) (Counters, error)
}

// LoadRequest is what to load, and where.
type LoadRequest struct {
	Cell      Cell
	DeviceIDs []string          // GPUs to use by UUID; empty = the backend's choice
	WorkDir   string            // for this load's files; removed afterwards
	CacheDir  string            // for things that are dear to make; kept
	Secrets   map[string]string // by parameter key; never to be logged
}

// LoadReport is what was really loaded.
type LoadReport struct {
	Engine           string
	EngineVersion    string
	Packages         []Package
	ImageDigest      string
	Resolved         Table // every parameter as the engine has it
	Model            ModelIdentity
	KVCapacityTokens *int64 // nil = not known
	Devices          []DeviceUse
	Warnings         []Warning
	Edge             EdgeKind
	MaxCancelMs      uint32
}

// Package is a component of the engine with its version.
type Package struct{ Name, Version string }

// ModelIdentity is what the weights are. nil = not known.
type ModelIdentity struct {
	Revision       string
	ArtifactDigest string // "sha256:..." of the file loaded
	Base           string // the same for every quantisation of one model
	Parameters     *int64
	Layers         *uint32
	Heads          *uint32
	KVHeads        *uint32
	Vocab          *uint32
	WeightType     string
	Quantisation   string
	RandomWeights  bool // every result says so
}

// DeviceUse is a device that the engine holds.
type DeviceUse struct {
	ID   string // GPU UUID, or "cpu"
	Kind string // "gpu" or "cpu"
	Rank uint32
	PID  int64 // the process that holds it
}

// Warning is a note that belongs in the result.
type Warning struct {
	Code    string // lower-case words with underscores, such as dormant_parameter
	Message string
	KeyPath string
}

// StageKind is a part of loading.
type StageKind string

// The stages of a load.
const (
	StageDownload StageKind = "download"
	StageBuild    StageKind = "build"
	StageWeights  StageKind = "weights"
	StageCompile  StageKind = "compile"
	StageCapture  StageKind = "capture"
	StageStart    StageKind = "start"
)

// StageMoment is where in a stage an event lies.
type StageMoment string

// The moments of a stage.
const (
	StageBegin    StageMoment = "begin"
	StageProgress StageMoment = "progress"
	StageEnd      StageMoment = "end"
)

// StageEvent is one event of a load.
type StageEvent struct {
	Kind     StageKind
	Moment   StageMoment
	MonoNs   int64
	Fraction float64 // 0 to 1, for progress
	Message  string
}

// Progress carries stage events from a Load to the host.
type Progress struct{ emit func(StageEvent) }

// NewProgress returns a Progress that passes each event to emit; package
// serve and tests use it.
func NewProgress(emit func(StageEvent)) *Progress { return &Progress{emit: emit} }

// Begin starts a stage and returns the function that ends it.
func (p *Progress) Begin(kind StageKind, message string) (end func()) {
	p.emit(StageEvent{Kind: kind, Moment: StageBegin, MonoNs: MonoNow(), Message: message})
	return func() { p.emit(StageEvent{Kind: kind, Moment: StageEnd, MonoNs: MonoNow()}) }
}

// Report says how far a stage has come, from 0 to 1.
func (p *Progress) Report(kind StageKind, fraction float64, message string) {
	p.emit(StageEvent{Kind: kind, Moment: StageProgress, MonoNs: MonoNow(), Fraction: fraction, Message: message})
}

// Counters are an engine's own counts since Load. nil = not known; a counter
// that is not known is never 0.
type Counters struct {
	MonoNs             int64
	EngineSteps        *int64
	PromptTokens       *int64
	OutputTokens       *int64
	CachedPromptTokens *int64
	Preemptions        *int64
	PaddingTokens      *int64
	ScheduledTokens    *int64
	Recompiles         *int64
	RunningMean        *float64
	SpecAccepted       *int64
	Named              []NamedMetric
}

// NamedMetric is something that the engine counts under its own name.
type NamedMetric struct {
	Name      string
	Unit      string
	Direction string // "lower", "higher" or ""
	Value     float64
}
