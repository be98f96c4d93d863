package study

// Study is a study file, checked as far as that goes without plugins. It is
// read-only after Load, but for the overrides of the command line.
type Study struct {
	Name        string
	Backend     string   // instance that cells use unless swept
	Energy      []string // "auto", built-in sources, plugins, or instances of Sources
	Model       Model
	Workload    Workload
	Load        LoadSpec
	Protocol    Protocol
	Backends    map[string]Instance
	Sources     map[string]Instance
	Sweep       Sweep
	Experiments []Experiment
	SLO         SLO
	Limits      Limits
	GPU         GPU
	Compare     Compare

	// Path and Text of the file; empty Path for a study that was not read
	// from one.
	Path string
	Text []byte

	source source
}

// Model is what is run.
type Model struct {
	ID       string `json:"id,omitempty"`
	Revision string `json:"revision,omitempty"`
	Path     string `json:"path,omitempty"`
	Weights  string `json:"weights"` // "auto" or "dummy"
}

// Workload is the work, the same for every arm of a comparison.
type Workload struct {
	Dataset            string   `json:"dataset"`
	Requests           int      `json:"requests"` // in one pass
	InputTokens        int      `json:"input_tokens"`
	OutputTokens       int      `json:"output_tokens"`
	Seed               int64    `json:"seed"`
	Lengths            string   `json:"lengths"` // "exact" or "natural"
	SharedPrefixTokens int      `json:"shared_prefix_tokens"`
	Sampling           Sampling `json:"sampling"`
}

// Sampling of output tokens.
type Sampling struct {
	Temperature float64 `json:"temperature"`
	TopP        float64 `json:"top_p"`
	TopK        int     `json:"top_k"`
}

// LoadSpec is how requests are offered.
type LoadSpec struct {
	Mode        string  `json:"mode"` // batch, closed, constant, poisson, gamma
	Concurrency int     `json:"concurrency,omitempty"`
	Rate        float64 `json:"rate,omitempty"` // requests/s
	Burstiness  float64 `json:"burstiness,omitempty"`
}

// Protocol is how a trial is conducted, with the profile filled in.
type Protocol struct {
	Profile       string
	Warmup        string // "full" or "fast"
	IdleS         float64
	ConditioningS float64
	WindowS       float64
	Cycles        int    // blocks
	Order         string // "randomised" or "grouped"
	Windows       int    // per load
	Regime        string // RegimeHot or RegimeCooldown
	CooldownS     float64
	// PhaseProbes adds a trial with one output token beside each cell, to split
	// its joules between prefill and decode.
	PhaseProbes bool
}

// Instance is a configured plugin: [backends.NAME] or [sources.NAME].
type Instance struct {
	Name, Plugin, Version string
	// Parameters are the plugin's own keys: bool, int64, float64, string,
	// []any, map[string]any.
	Parameters map[string]any
	// Pos is where the keys of the table stand in the file, by their paths in
	// it: "plugin", "nested.key". Study.ProblemAt uses these places.
	Pos map[string]Pos
}

// Sweep is what varies.
type Sweep struct {
	Axes   []AxisSpec
	Groups []Group
}

// AxisSpec is one independent axis: a key and its values.
type AxisSpec struct {
	Key    string
	Values []any
}

// Group is a set of named alternatives whose settings move together.
type Group struct {
	Name         string
	Alternatives []Alternative
}

// Alternative is one member of a Group; without settings it is the baseline.
type Alternative struct {
	Name     string
	Settings []Setting
}

// Setting gives a key a value.
type Setting struct {
	Key   string
	Value any
}

// Experiment is an explicit cell beside the sweep.
type Experiment struct {
	Name     string
	Settings []Setting
}

// Limits of a study; 0 = none.
type Limits struct {
	Hours, KWh, Cost            float64
	TrialTimeoutS, LoadTimeoutS float64
	MaxFailures                 int
}

// GPU settings; zero = as they are.
type GPU struct {
	Devices       []string
	PowerLimitW   float64
	LockClocksMHz int
}

// Compare says against what cells are compared. Baseline is a cell's label or ID;
// empty: the first cell.
type Compare struct{ Baseline string }

// Cell is one configuration to measure.
type Cell struct {
	// ID is a hash of what the study wrote that changes the measurement, with
	// the core's defaults. Plugin defaults, machine paths and settings of the
	// execution are no part of it.
	ID string
	// Label names what varies: "weight_type=q8_0".
	Label      string
	Instance   string
	Plugin     string
	Version    string
	Parameters map[string]any
	Model      Model
	Workload   Workload
	Load       LoadSpec
	Protocol   Protocol
	Axes       []Axis
	Experiment string
	// Probe: the cell is there for others, to be subtracted from them, and never
	// ranked. ProbeID is the ID of the cell that is this one's probe, or "".
	Probe   bool
	ProbeID string
	// Definition is the canonical text that ID hashes.
	Definition string
}

// Axis is one varied key with this cell's value.
type Axis struct {
	Key   string
	Value any
}
