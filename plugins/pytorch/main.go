// Command pytorch is llem's backend for Hugging Face transformers on PyTorch:
// static batches through model.generate, in a Python worker of the user's own
// environment.
//
// A cell passes through describe.go (what can be set), settings.go (what it
// asks for), check.go (what speaks against it), load.go and run.go. shapes.go
// has the built-in models, files.go looks at a model's directory, python.go
// finds the environment. Package internal/worker runs the Python side.
package main

import "github.com/llenergymeasure/llem/sdk/serve"

func main() { serve.Backend(&backend{}) }
