// Package sensor is the simulated energy source: the power that its parameters
// declare, plus the load that simulated engines book on a bus, read by sensors
// with known properties and known faults.
//
// Reading order: parameters.go, truth.go (the energy that is really used),
// domain.go (what a sensor makes of it), source.go (when it is read),
// fault.go (how it goes wrong).
package sensor

import (
	"github.com/llenergymeasure/llem/plugins/sim/internal/engine"
	"github.com/llenergymeasure/llem/plugins/sim/internal/fault"
	"github.com/llenergymeasure/llem/plugins/sim/internal/power"
	"github.com/llenergymeasure/llem/sdk"
)

// The faults of a stream.
const (
	silence   = "silence"
	end       = "end"
	exit      = "exit"
	repeat    = "repeat"
	backwards = "backwards"
	stuck     = "stuck_watermark"
	gap       = "gap"
	restart   = "restart"
	zeros     = "zeros"
	flood     = "flood"
)

func parameters() []sdk.Parameter {
	own := []sdk.Parameter{
		sdk.List("domains", sdk.TypeString).Or([]any{"cpu_package"}).For(sdk.RoleMachine).Doc("Kinds of the domains, in the contract's words; a kind may occur several times. gpu_memory lies in the first gpu and dram in the first cpu_package, and each draws a quarter of the power."),
		sdk.Text("reading").OneOf("counter", "instant", "trailing_mean", "interval_mean").Or("counter").For(sdk.RoleMachine).Doc("What one sample means."),
		sdk.Float("period_ms").Unit("ms").Or(10.0).Between(0.1, 60_000).For(sdk.RoleMachine).Doc("Time between samples."),
		sdk.Float("averaging_ms").Unit("ms").Or(100.0).Between(0.1, 60_000).For(sdk.RoleMachine).Doc("Averaging time of a trailing mean."),
		sdk.Float("lag_ms").Unit("ms").Or(0.0).Between(0, 60_000).For(sdk.RoleMachine).Doc("How far a stamp lies behind what it describes; the domain declares it."),
		sdk.Int("counts_per_unit").Or(1_000_000).Between(1, 1_000_000_000).For(sdk.RoleMachine).Doc("Counts of one J (counter) or one W."),

		sdk.Float("power_w").Unit("W").Or(100.0).Between(0, 1e6).For(sdk.RoleMachine).Doc("Power that is always drawn."),
		sdk.Text("wave").OneOf(string(power.Constant), string(power.Square), string(power.Sine)).Or(string(power.Constant)).For(sdk.RoleMachine).Doc("Shape of the power over time; periods are counted from stamp 0 of CLOCK_MONOTONIC."),
		sdk.Float("wave_w").Unit("W").Or(0.0).Between(0, 1e6).For(sdk.RoleMachine).Doc("Power that a square wave adds in the first half of its period; amplitude of a sine."),
		sdk.Float("wave_period_ms").Unit("ms").Or(1000.0).Between(0.001, 3.6e6).For(sdk.RoleMachine).Doc("Period of the wave."),
		sdk.Path("bus").Or("").Doc("File through which sim engines add their load; samples then come 0.2 s late. Empty means none."),

		sdk.Float("gain").Or(1.0).Between(0, 100).For(sdk.RoleMachine).Doc("Error of the sensor that nobody is told: factor of every reading."),
		sdk.Float("offset_w").Unit("W").Or(0.0).Between(-1e6, 1e6).For(sdk.RoleMachine).Doc("Error of the sensor that nobody is told: power added to every reading."),
		sdk.Float("noise").Or(0.0).Between(0, 0.5).For(sdk.RoleMachine).Doc("Relative standard deviation of each sample; of a counter, of each increment."),
		sdk.Int("seed").Or(1).For(sdk.RoleMachine).Doc("Seed of the noise; the same seed gives the same noise at the same stamp."),
		sdk.Float("accuracy_rel").Or(0.0).Between(0, 10).For(sdk.RoleMachine).Doc("Bound of the gain's error that the domains declare."),
		sdk.Float("accuracy_w").Unit("W").Or(0.0).Between(0, 1e6).For(sdk.RoleMachine).Doc("Bound of the offset that the domains declare."),
		sdk.Bool("estimated").Or(false).For(sdk.RoleMachine).Doc("The domains say that they are modelled, not measured."),
	}
	return append(own, fault.Parameters(fault.None, silence, end, exit, repeat, backwards, stuck, gap, restart, zeros, flood)...)
}

// Describe implements sdk.EnergySource.
func (s *Source) Describe() sdk.Description {
	return sdk.Description{
		Name: "sim", Version: engine.Version,
		Doc:        "A simulated energy source with exactly known power, to test the measuring itself.",
		Parameters: parameters(),
	}
}
