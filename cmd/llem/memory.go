package main

import (
	"os"
	"runtime/debug"
)

// runGCPercent lets the heap grow by half of what lives before it is collected,
// not to twice of it. Most of what a run allocates are the buffers of the files
// that it writes between two loads; a collection of these few MB takes about
// 1 ms, and inside a window there is hardly anything to collect.
const runGCPercent = 50

// keepSmall spares the memory of the machine under measurement for as long as
// a run goes on. Who sets GOGC knows better. Short commands, which end before
// they have much to collect, do without.
func keepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(runGCPercent)
	}
}
