// Command ggml is llem's embedded backend: ggml's kernels on the CPU, with
// random weights or a user's GGUF file. It needs no download, no GPU and no
// Python.
//
// A cell passes through describe.go (what can be set), settings.go (what it
// asks for), check.go, load.go and run.go. Package internal/dummy writes random
// weights, internal/engine runs models.
package main

import (
	"fmt"
	"os"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk/serve"
)

func main() {
	// Before anything else: the kernels would end in an illegal instruction.
	if err := engine.CheckCPU(); err != nil {
		fmt.Fprintln(os.Stderr, "ggml:", err)
		os.Exit(1)
	}
	serve.Backend(&backend{})
}

// backend serves one load. Its engine is nil before Load and after Unload.
type backend struct{ engine *engine.Engine }
