package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const coreMemoryMB = 40

// memory runs the demo and watches the peak of the core's resident memory; the
// plugins are processes of their own and do not count.
func memory() ([]figure, error) {
	out, err := os.MkdirTemp("", "llem-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out) //nolint:errcheck // a temporary directory
	var text bytes.Buffer
	cmd := exec.Command("build/llem", "run", "--quiet", "--plugin-dir", "build/plugins", "--out", out, "examples/quickstart.toml")
	cmd.Stdout, cmd.Stderr = &text, &text
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	status := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status")
	peak := 0.0
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			took := time.Since(begin)
			if err != nil {
				return nil, fmt.Errorf("the demo: %w: %s", err, text.Bytes())
			}
			return []figure{
				{name: "peak memory of the core in the demo", unit: "MB", value: peak, limit: coreMemoryMB},
				{name: "the demo", unit: "s", value: took.Seconds(), limit: 90},
			}, nil
		case <-tick.C:
			peak = max(peak, highWater(status))
		}
	}
}

// highWater reads VmHWM in MB; 0 when the process is gone.
func highWater(path string) float64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				return 0
			}
			return kB * 1024 / 1e6
		}
	}
	return 0
}
