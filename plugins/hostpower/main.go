// Command hostpower is the energy source of last resort: it estimates the
// power of the CPU packages from how busy the CPUs are and from what their
// maker says they may dissipate. It measures nothing, every domain says so,
// and its bounds are as wide as that deserves.
//
// Reading order: machine.go (which processor this is), tdp.go (the table),
// model.go (watts from a busy share, and the bounds), usage.go (the busy
// share), source.go (Open and the sampling loop).
package main

import "github.com/llenergymeasure/llem/sdk/serve"

func main() { serve.EnergySource(&source{}) }
