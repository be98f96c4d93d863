package sdk

// Kind is a service that a plugin binary offers.
type Kind string

// The kinds of plugins.
const (
	KindBackend      Kind = "backend"
	KindEnergySource Kind = "energy source"
)

// FeaturePassGaps: a batch loop can be asked for idle time between its passes
// (RunSpec.GapNsMost). Every backend that ranges over Run.Passes has it.
const FeaturePassGaps = "pass_gaps"

// Description says who a plugin is. It is made without touching a device.
type Description struct {
	// Name as studies write it: lower-case letters, digits and hyphens.
	Name string
	// Version of the plugin, semver without a leading v.
	Version string
	// LeastCore is the least core version that this plugin works with; empty
	// means any.
	LeastCore string
	// Doc is one sentence for listings.
	Doc string
	// Parameters is the schema of the plugin's table.
	Parameters []Parameter
	// Features beyond the contract's own, by name.
	Features []string
	// Abilities answers Check for a backend that is no Checker.
	Abilities Abilities
}

// Abilities is what a backend can do with a cell.
type Abilities struct {
	// Loops that the cell can be driven with; empty means batch only.
	Loops []Loop
	// Edge says what stands behind the stamps at a pass's edges.
	Edge EdgeKind
	// MaxCancelMs: after a cancelled Run the engine is quiet within this
	// time. 0 means 5000.
	MaxCancelMs uint32
	// Devices needed; empty means the CPU.
	Devices []DeviceNeed
	// Memory is nil where no model is known.
	Memory *MemoryModel
}

// DescribeReport is a Description as a host sees it: with what the plugin's
// SDK adds, and both parameter schemas of a binary of both kinds.
type DescribeReport struct {
	Name             string
	Version          string
	LeastCore        string
	Doc              string
	SDKVersion       string
	Kinds            []Kind
	ProtocolMinor    uint32
	Features         []string
	BackendSchema    []Parameter
	SourceSchema     []Parameter
	MonoNowNs        int64
	BootID           string
	UnknownFieldsSet bool // a newer plugin said more than this host understands
}
