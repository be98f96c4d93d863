// Package engine is the simulated inference engine: its tokens take the time
// that its parameters say, on an absolute schedule, and nothing is computed.
//
// Reading order: parameters.go, timing.go (what a step costs), clock.go (when
// it ends), batch.go and continuous.go (the two ways to batch), load.go.
package engine

import (
	"github.com/llenergymeasure/llem/plugins/sim/internal/fault"
	"github.com/llenergymeasure/llem/sdk"
)

// Version of the plugin, for both of its kinds.
const Version = "0.1.0"

// vocab is what the simulated model claims; the tokeniser uses the ids of the
// 256 bytes.
const vocab = 32000

// The faults, by where they happen.
const (
	oom          = "oom"
	exitInLoad   = "exit_in_load"
	wedgeInLoad  = "wedge_in_load"
	freezeInLoad = "freeze_in_load"
	exitInRun    = "exit_in_run"
	wedgeInRun   = "wedge_in_run"
	freezeInRun  = "freeze_in_run"
	panicInRun   = "panic_in_run"
	failRequests = "fail_requests"
	miscount     = "miscount"
	stampsOut    = "stamps_outside"
	earlyClose   = "early_close"
	flood        = "flood"
	hangUnload   = "hang_unload"
)

func parameters() []sdk.Parameter {
	own := []sdk.Parameter{
		sdk.Float("step_us").Unit("us").Or(1000.0).Between(1, 10_000_000).Doc("Time of one engine step, whatever it holds."),
		sdk.Float("sequence_us").Unit("us").Or(0.0).Between(0, 1_000_000).Doc("Time that each sequence adds to a step."),
		sdk.Float("prefill_us").Unit("us").Or(1.0).Between(0, 1_000_000).Doc("Time that each prompt token adds to its step."),
		sdk.Int("batch_size").Unit("sequences").Or(8).Between(1, 4096).Doc("Most sequences in one step."),
		sdk.Float("noise").Or(0.0).Between(0, 0.5).Doc("Relative standard deviation of each step's time."),
		sdk.Int("seed").Or(1).Doc("Seed of the noise."),
		sdk.Float("busy_w").Unit("W").Or(0.0).Between(0, 100_000).Doc("Power that a running step adds to what the sim energy source on the same bus reads."),
		sdk.Float("prefill_w").Unit("W").Or(0.0).Between(0, 100_000).Doc("Power that a step with prompts adds besides."),
		sdk.Path("bus").Or("").Doc("File through which the load reaches the sim energy source; empty means that no source sees it."),
		sdk.Int("gpus").Or(0).Between(0, 64).For(sdk.RoleMachine).Doc("Simulated GPUs sim-gpu-0 ... that the engine says it holds; 0 means the CPU."),
		sdk.Float("load_ms").Unit("ms").Or(0.0).AtLeast(0).For(sdk.RoleExecution).Doc("Time that a load takes."),
		sdk.Bool("children").Or(false).For(sdk.RoleExecution).Doc("Start a child and a grandchild in a session of their own, for tests of the clean-up."),
		sdk.Int("fault_run").Or(1).AtLeast(1).For(sdk.RoleExecution).Doc("First Run of a load in which a Run's fault may happen; 2 is the measured one after a warm-up."),
	}
	return append(own, fault.Parameters(fault.None,
		oom, exitInLoad, wedgeInLoad, freezeInLoad, exitInRun, wedgeInRun, freezeInRun, panicInRun,
		failRequests, miscount, stampsOut, earlyClose, flood, hangUnload)...)
}

// Describe implements sdk.Backend.
func (e *Engine) Describe() sdk.Description {
	return sdk.Description{
		Name: "sim", Version: Version,
		Doc:        "A simulated engine with exactly known timing, to test the measuring itself.",
		Parameters: parameters(),
		Abilities: sdk.Abilities{
			Loops: []sdk.Loop{sdk.LoopBatch, sdk.LoopClosed, sdk.LoopOpen},
			Edge:  sdk.EdgeQuiesced, MaxCancelMs: 200,
		},
	}
}
