package sdk

// Cell is one configuration of a study, as far as a plugin needs to know it.
type Cell struct {
	ID string
	// Parameters are the plugin's own keys as the study wrote them, without
	// defaults.
	Parameters Table
	Model      Model
	Workload   Workload
	Load       LoadShape
	Protocol   ProtocolShape
}

// Weights says where a model's weights come from.
type Weights string

// The kinds of weights.
const (
	WeightsAuto  Weights = "auto"  // real ones, found by id or path
	WeightsDummy Weights = "dummy" // random ones in the named architecture
)

// Model names a model by hub id and revision, or by path.
type Model struct {
	ID       string
	Revision string
	Path     string
	Weights  Weights
}

// Workload summarises the requests; they themselves come through Prepare.
type Workload struct {
	RequestsPerPass    uint32
	MaxInputTokens     uint32
	MaxOutputTokens    uint32
	ExactLengths       bool // end-of-sequence is ignored
	SharedPrefixTokens uint32
	Sampling           Sampling
}

// Sampling belongs to the workload and is the same for every backend.
type Sampling struct {
	Temperature float64 // 0 = greedy
	TopP        float64 // 0 = off
	TopK        uint32  // 0 = off
	Seed        int64
}

// Loop is how requests are offered to the engine.
type Loop string

// The loops.
const (
	LoopBatch  Loop = "batch"  // a whole pass at once
	LoopClosed Loop = "closed" // a fixed number in flight
	LoopOpen   Loop = "open"   // at intended arrival times
)

// LoadShape is the offered load.
type LoadShape struct {
	Loop        Loop
	Concurrency uint32
	RatePerS    float64 // open loop: mean arrival rate
}

// ProtocolShape tells how long a Run will last, about.
type ProtocolShape struct {
	ConditioningNs int64
	WindowNs       int64
}
