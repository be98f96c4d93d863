package openaiserver

import (
	"context"
	"regexp"
	"strconv"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/loadgen"
)

// Engine is what differs between servers. Only Name, Version, Doc, Dialect,
// Ready and Command are needed.
type Engine struct {
	Name, Version, Doc string // of the plugin

	// Parameters are the table of the plugin's own keys; the kit's come besides.
	Parameters []Parameter
	// Command returns the program and the arguments that are not in the table:
	// model, address, what must be switched off. The table's follow.
	Command func(Launch) ([]string, error)
	// Env, "NAME=value", is set for each server; nil = none.
	Env func(Launch) []string

	Dialect loadgen.Dialect
	// Speak changes the dialect as the settings ask; nil = it is the same for all.
	Speak func(loadgen.Dialect, sdk.Table) loadgen.Dialect
	// Ready is the path that answers 200 when the server is up. It must not
	// generate.
	Ready string
	// Flush is a path that drops the prefix cache by POST, before each work; ""
	// = the engine has none, or its cache is off.
	Flush  func(sdk.Table) string
	Stages []Stage
	Faults []Fault
	// Metrics are where the engine counts.
	Metrics Metrics
	// Count reads an engine's counters where they are no metrics; nil = Metrics
	// says all. It is called when no request is in flight: at the end of a load,
	// before ReadBack, and after each Run. What it warns of is told with the load or
	// with the next Run.
	Count func(context.Context, *Server) (sdk.Counters, []sdk.Warning, error)
	// Settle returns when the engine has dropped requests that were broken off; nil
	// = Metrics.Busy tells.
	Settle func(context.Context, *Server)
	// Build says what must be made before the server starts; nil, or a nil Build =
	// nothing.
	Build func(context.Context, Launch) (*Build, error)
	// ReadBack adds what the server says of itself to the report of a load.
	ReadBack func(context.Context, *Server, *sdk.LoadReport) error
	// Check judges a cell by arithmetic alone.
	Check func(sdk.Cell) []sdk.Diagnostic
	// Devices that a cell needs; nil = the CPU.
	Devices func(sdk.Cell) []sdk.DeviceNeed
	// Containers: the engine may run from an image. Command then returns what
	// starts it inside.
	Containers bool
	// MaxCancelMs: a broken-off Run is quiet within this time; 0 = 5000.
	MaxCancelMs uint32
}

// Launch is a server that is about to be started.
type Launch struct {
	Request  sdk.LoadRequest
	Settings sdk.Table // the study's, and defaults of the table
	Built    string    // directory of what Build made; "" = nothing
	Host     string
	Port     int
}

// Model is the model's path, or else its id.
func (l Launch) Model() string { return modelOf(l.Request.Cell) }

// PortText is the port for an argument.
func (l Launch) PortText() string { return strconv.Itoa(l.Port) }

func modelOf(cell sdk.Cell) string {
	if cell.Model.Path != "" {
		return cell.Model.Path
	}
	return cell.Model.ID
}

// Stage recognises a stage of a load by lines of the server's log.
type Stage struct {
	Kind       sdk.StageKind
	Begin, End *regexp.Regexp
	// Progress has a group with a percentage; nil = not told.
	Progress *regexp.Regexp
}

// Fault explains a line of the log of a server that ended. Faults are tried in
// order before the kit's own.
type Fault struct {
	Line   *regexp.Regexp
	Code   sdk.Code
	Key    string // "" = found by the flag that the line names
	Else   string // the key if the line names no flag
	Advice string
}
