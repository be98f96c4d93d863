// Command rapl is the energy source of the CPU's own energy counters: RAPL, as
// Linux shows it under /sys/class/powercap, on Intel and on AMD processors.
//
// Reading order: zone.go (which counters there are and what lies within what),
// absent.go (why there is none), counter.go (wraps and restarts), source.go
// (Open and the sampling loop).
package main

import "github.com/llenergymeasure/llem/sdk/serve"

func main() { serve.EnergySource(&source{}) }
