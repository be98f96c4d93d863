package sdk

import "context"

// EnergySource reads sensors. Open comes first, then one Stream, then Close.
type EnergySource interface {
	// Describe returns the same value at every call.
	Describe() Description
	// Open finds the sensors that can be read. No readable sensor is an error
	// of code Permission or DeviceMissing whose advice says what to type.
	Open(ctx context.Context, req OpenRequest) ([]Domain, error)
	// Stream delivers samples through emit until ctx ends or Close is called;
	// it then returns nil. An error of emit ends it.
	Stream(ctx context.Context, emit func(SampleBatch) error) error
	// Close frees the sensors.
	Close(ctx context.Context) error
}

// OpenWarner is a source that says something of what it opened. Each warning is
// recorded with the source and told in every trial.
type OpenWarner interface {
	// OpenWarnings is asked for once after each successful Open.
	OpenWarnings() []Warning
}

// Codes of OpenWarnings that say what the samples are, where they are no
// measurement of this machine at this time.
const (
	CodeReplayedSource  = "replayed_source"  // of a recording
	CodeSimulatedSource = "simulated_source" // of no machine
)

// OpenRequest is how to open a source.
type OpenRequest struct {
	Parameters Table
	Secrets    map[string]string // by parameter key; never to be logged
}

// DomainKind is what a domain's joules cover.
type DomainKind string

// The kinds of domains.
const (
	DomainGPU        DomainKind = "gpu"
	DomainGPUMemory  DomainKind = "gpu_memory"
	DomainModule     DomainKind = "module"
	DomainCPUPackage DomainKind = "cpu_package"
	DomainDRAM       DomainKind = "dram"
	DomainNode       DomainKind = "node"
	DomainRack       DomainKind = "rack"
)

// Reading is what one value means.
type Reading string

// The readings.
const (
	ReadingCounter      Reading = "counter"       // energy since some zero
	ReadingInstant      Reading = "instant"       // power at the stamp
	ReadingTrailingMean Reading = "trailing_mean" // mean power over AveragingNs before the stamp
	ReadingIntervalMean Reading = "interval_mean" // mean power since the sample before
)

// UnitName is the unit of a domain's values.
type UnitName string

// The units.
const (
	UnitJoule UnitName = "J"
	UnitWatt  UnitName = "W"
)

// Accuracy is the systematic error of a sensor: bounds that hold for all its
// readings alike. nil = not known.
type Accuracy struct {
	GainRel    *float64 // relative, 0.05 = 5 %
	OffsetW    *float64
	Confidence *float64 // share of devices for which the bounds hold; 1 = always
}

// Domain is one thing whose energy a source reads.
type Domain struct {
	ID          string
	Kind        DomainKind
	DeviceIDs   []string
	ContainedIn string // id of the domain that this energy is part of, or ""
	Reading     Reading
	// One count is UnitNumerator/UnitDenominator of Unit.
	Unit            UnitName
	UnitNumerator   int64
	UnitDenominator int64
	AveragingNs     int64 // TrailingMean: averaging time; Instant: time integrated
	LagNs           int64 // how far a stamp lies behind what it describes
	LagSpreadNs     int64
	UpdatePeriodNs  int64
	Estimated       bool // modelled, not measured
	Accuracy        Accuracy
	Host            string
	FirstSampleNs   int64 // from Open to the first valid sample
	Doc             string
	// ChangesOnly: a sample comes only when the value changed; the value
	// before held until then.
	ChangesOnly bool
	// MostPowerW is more than the domain can ever draw, such as a few times the
	// card's highest limit: samples above it, and rises of a counter, count as
	// lost. 0 = not known; then only what is absurd for the kind does.
	MostPowerW float64
}

// SampleBatch is a run of samples of one domain.
type SampleBatch struct {
	DomainID string
	// Epoch rises when a counter restarted from another zero; a wrap-around
	// is unwrapped by the source and is no new epoch.
	Epoch uint32
	// Sequence rises by one with each batch of a domain, from 0.
	Sequence uint64
	// Dropped samples are known to be lost since the batch before.
	Dropped uint64
	// CompleteUntilNs is the watermark: no sample stamped at or before it
	// will follow.
	CompleteUntilNs int64
	MonoNs          []int64
	Values          []int64 // in the domain's unit; as long as MonoNs
}
