// Command sim is a simulated inference engine and a simulated energy source
// whose timing and power are known exactly, to test the measuring itself.
package main

import (
	"github.com/llenergymeasure/llem/plugins/sim/internal/engine"
	"github.com/llenergymeasure/llem/plugins/sim/internal/sensor"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Both(&engine.Engine{}, &sensor.Source{}) }
