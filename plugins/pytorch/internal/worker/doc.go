// Package worker runs the Python side of the backend: one process for each
// load, or one for each rank of it, spoken to over inherited socket pairs.
//
// files.go has the program, message.go the wire, process.go the life of a
// process, call.go the calls, output.go what it prints, group.go several of them
// that are one engine, rendezvous.go how those meet, probe.go the question what
// an environment has.
package worker
