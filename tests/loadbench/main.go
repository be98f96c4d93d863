// Command loadbench measures the load generator against its peers: a Python
// client of aiohttp shaped like `vllm bench serve`, and wrk. It is run by
// `make bench-load`. All sides run in turn in one run against the same mock
// server, each client pinned to one core and the server to another; a figure
// stands beside its target.
//
// The machine may be busy with other things. So everything is done several times
// in turn and the best of each side counts, CPU time is taken rather than wall
// time where that is possible, and nothing here fails for being slow.
//
// peers.sh holds it beside the clients that people use, on a real vLLM server.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "loadbench:", err)
		os.Exit(1)
	}
}

func command() error {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "server":
			return server(os.Args[2:])
		case "client":
			return client(os.Args[2:])
		case "peer":
			return peer(os.Args[2:])
		}
	}
	python := flag.String("python", "python3", "a Python that has aiohttp")
	repeats := flag.Int("repeats", 3, "of each measurement")
	seconds := flag.Float64("seconds", 3, "of each measurement, after a second to warm up")
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := bench{self: self, python: *python, repeats: *repeats, seconds: *seconds}
	return b.all()
}
