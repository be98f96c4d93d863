// Package energy turns sensor samples into joules.
//
// It is the arithmetic step of the pipeline: energy sources deliver batches of
// stamped integers, a [Builder] checks and collects them into a [Trace], and
// [Trace.Window] integrates any span of it afterwards, so that a whole run, its
// prefill, its decode and its idle time are windows over one recording.
//
// The package reads no sensor and no clock: every function is a pure function of
// its arguments. All stamps are int64 nanoseconds of CLOCK_MONOTONIC. Sample
// values stay integers in the sensor's own unit until a window is computed.
//
// A window either carries joules that cover it, with the method that made them
// and the doubts that remain as warnings, or it is an error: a doubtful window
// is never quietly rounded, scaled or filled with zeros.
package energy
