// Package engine runs a transformer from a GGUF file on the CPU, with ggml's
// kernels: the step that burns the joules which are measured around it.
//
// The kernels and the models' forward passes are those of the Go model engine
// in github.com/ollama/ollama at the version that go.mod pins; later versions
// have none. What is here is the loop above them: which tokens of which
// sequences enter a step, what is stamped, what ends a sequence.
//
// Reading order: facts.go (what a file holds), header.go, tensors.go and
// problems.go (what would make the kernels abort the process, refused before),
// open.go, job.go (what is asked for), serve.go and step.go (the loop),
// forward.go (one step of the model), sample.go. cpu.go, simd.go and cores.go
// deal with the machine.
package engine
