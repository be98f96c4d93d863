// Package measure runs trials: the step of the pipeline between a plan and
// its results.
//
//	Load -> context idle -> warm-up Run -> one Run (conditioning, then the
//	window) -> Stop -> Unload -> gates
//
// The window is not chosen while the engine runs. Everything is stamped, the
// energy sources record all the time, and afterwards one cut, made from
// stamps, serves for time and energy alike (cut.go). Nothing is drawn, scanned
// or computed on the critical path.
//
// Reading order: session.go and block.go walk the plan; trial.go is the
// protocol of one trial, warmup.go, measured.go and window.go its parts;
// drive.go drives one Run, sources.go keeps the sensors' recordings; work.go,
// settle.go, cut.go and latency.go are pure.
package measure
