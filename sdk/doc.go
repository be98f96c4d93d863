// Package sdk holds the types of the llem plugin contract, as a plugin author
// meets them. It imports the standard library only.
//
// A backend is one value with four methods (Backend). Its main function is
//
//	func main() { serve.Backend(&engine{}) }
//
// and everything else, from the handshake to the clean-up of child
// processes, is done by package serve. What an engine can do beyond the
// minimum it says by further methods: Checker, Tokenizer, Preparer, Counting.
//
// Reading order: value.go and parameter.go (what a study can set), describe.go
// and check.go (what is known before anything is loaded), load.go, work.go,
// run.go and completion.go (a measurement), energy.go (sensors), errors.go.
//
// Every stamp is CLOCK_MONOTONIC in nanoseconds, as MonoNow gives it. It is
// comparable between the processes of one host, in any language, and across
// no reboot.
package sdk

// Version is the version of this module. Describe reports it.
const Version = "0.1.0"

// ProtocolMinor is the minor version of the contract in this module. It rises
// with each field that is added; the major is part of the handshake.
const ProtocolMinor = 2
