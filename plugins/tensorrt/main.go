// Command tensorrt is llem's backend for TensorRT-LLM's server, trtllm-serve: a
// table of its parameters (parameters.go), the file that it is configured with
// (options.go, yaml.go), its command, its log and its requests (engine.go), its
// statistics, which are a queue (statistics.go), what it says of itself
// (readback.go), and the engines of its older back end, which are built before it
// starts and kept (build.go, identity.go). All else is package openaiserver of the
// sdk.
package main

import (
	"github.com/llenergymeasure/llem/sdk/openaiserver"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() { serve.Backend(openaiserver.Backend(engine())) }
