// Package host is the host's side of the plugin seam: it starts a plugin's
// process, speaks the contract in the types of package sdk, does not believe
// everything it hears, and can always end the process.
//
// start.go starts and handshakes, plugin.go holds the unary calls, run.go and
// verify.go drive and judge a Run, source.go reads sensors, errors.go names
// what can go wrong.
package host
