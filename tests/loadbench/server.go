package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/llenergymeasure/llem/sdk/loadgen/mockserver"
)

// server runs the mock server until its standard input ends.
func server(args []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	step := flags.Duration("step", 0, "time between two tokens of a stream; 0 = at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := mockserver.Start(mockserver.Options{Step: *step, Fast: true})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(s.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serverCore and clientCore are where the two sides run.
const (
	serverCore = "0"
	clientCore = "1"
)

// withServer starts a server process for the duration of do.
func (b bench) withServer(step string, do func(url string) error) error {
	cmd := exec.Command("taskset", "-c", serverCore, b.self, "server", "-step", step)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the mock server: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = do(strings.TrimSpace(line))
	}
	_ = stdin.Close()
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	return err
}
