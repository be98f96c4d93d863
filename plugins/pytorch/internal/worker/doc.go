// Package worker runs the Python side of the backend: one process for each
// load, spoken to over an inherited socket pair.
//
// files.go has the program, message.go the wire, process.go the life of the
// process, call.go the calls, output.go what it prints, probe.go the question
// what an environment has.
package worker
