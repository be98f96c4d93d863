package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Environment is what a Python environment and its machine have.
type Environment struct {
	Python     string            `json:"python"` // its version
	Executable string            `json:"executable"`
	Packages   map[string]string `json:"packages"`  // versions by name
	CUDA       string            `json:"cuda"`      // that torch was built for; "" = none
	GPUs       []GPU             `json:"gpus"`      // that the driver names
	Arguments  map[string]string `json:"arguments"` // of transformers, by name: what takes them
}

// GPU is a device as the driver names it.
type GPU struct {
	UUID        string `json:"uuid"`
	Capability  int    `json:"capability"` // 90 for 9.0
	MemoryBytes int64  `json:"memory_bytes"`
}

// Probe asks an interpreter what it has. torch is not imported.
func Probe(ctx context.Context, python string) (Environment, error) {
	var e Environment
	dir, err := unpack("")
	if err != nil {
		return e, err
	}
	// Only files in a temporary directory could stay.
	defer func() { _ = os.RemoveAll(dir) }()
	command := exec.CommandContext(ctx, python, script(dir, "probe.py"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	answer, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			return e, fmt.Errorf("%s: %w: %s", python, err, lines[len(lines)-1])
		}
		return e, err
	}
	if err := json.Unmarshal(answer, &e); err != nil {
		return e, fmt.Errorf("read what %s says of itself: %w", python, err)
	}
	return e, nil
}
