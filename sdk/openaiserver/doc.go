// Package openaiserver makes a backend of an inference server that speaks an
// OpenAI-like protocol. It does what is the same for all of them: it starts the
// server on a free port, waits until it really answers, drives it with package
// loadgen, reads its counters, and ends it with all its descendants. What differs
// is an Engine, mostly a table of parameters:
//
//	func main() {
//		serve.Backend(openaiserver.Backend(openaiserver.Engine{
//			Name: "my-server", Version: "0.1.0", Doc: "My server.",
//			Dialect: loadgen.VLLM(), Ready: "/health",
//			Command: func(l openaiserver.Launch) ([]string, error) {
//				return []string{"my-server", "--model", l.Model(), "--port", l.PortText()}, nil
//			},
//			Parameters: []openaiserver.Parameter{
//				openaiserver.Flag("--max-seqs", sdk.Int("max_num_seqs").Doc("Sequences at once.")),
//			},
//		}))
//	}
//
// # A load
//
// A server is ready when its Ready path answers 200 and a request of two tokens
// has come back whole: there are engines that call themselves healthy and die at
// the first request. Until then its log is searched for the begins and ends of the
// load's stages. A server that ends before is reported with the line of its log
// that matters and with the key of the parameter that the line is about.
//
// # A Run
//
// Nothing is asked of the server but the requests themselves. Its metrics are read
// before and after, when it says that it is idle.
//
// # The end
//
// The server stays in the plugin's process group and is killed by the kernel when
// the plugin dies. Its descendants are known by the tree of processes and by a mark
// in their environment, since some engines leave processes behind that hold all
// memory. Unload sends SIGINT, SIGTERM and SIGKILL, and fails if one is left.
//
// # A server that is running already
//
// With mode = "attach" and a url nothing is started or ended. Parameters are then
// what the server says of itself.
//
// Reading order: engine.go and arguments.go (what an author says), backend.go
// (the contract), process.go and log.go (a server's life), ready.go and death.go
// (how a start ends), build.go and configuration.go (what comes before one),
// metrics.go and counters.go, check.go, attach.go.
package openaiserver
