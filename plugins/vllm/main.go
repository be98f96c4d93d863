// Command vllm is llem's backend for vLLM's server: a table of its flags
// (parameters.go), its dialect and its log (engine.go), and what it says of itself
// (readback.go). All else is package openaiserver of the sdk.
package main

import (
	"github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(openaiserver.Backend(engine())) }
