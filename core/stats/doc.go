// Package stats turns the trials of a study into estimates with honest intervals.
//
// It is the step after the hinge of the pipeline: trials come in as plain numbers
// (one per window, grouped by load), estimates and comparisons go out with their
// method, interval and warnings inside.
//
// The load is the sample. Fresh starts of one engine differ by as much as or more
// than the windows of one start, so windows of a load are averaged first and the
// loads give the interval. Random spread and the sensor's systematic error are
// kept apart and never merged. Nothing is dropped: outliers and drift are flagged,
// and a NaN or infinity among the inputs is an error.
package stats
