package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// machine is what /proc/cpuinfo tells of the processors.
type machine struct {
	Model    string // as the kernel writes it, or ""
	Sockets  int    // at least 1
	Siblings int    // threads of one socket; 0 = not told
	Virtual  bool   // a hypervisor lies between this system and the processor
}

// readMachine reads cpuinfo. On other architectures than x86 it names no
// model, which is then unknown.
func readMachine(procfs string) (machine, error) {
	text, err := os.ReadFile(filepath.Join(procfs, "cpuinfo"))
	if err != nil {
		return machine{}, err
	}
	var m machine
	sockets := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name":
			m.Model = value
		case "physical id":
			sockets[value] = true
		case "siblings":
			// A number that is none leaves 0.
			m.Siblings, _ = strconv.Atoi(value)
		case "flags":
			m.Virtual = m.Virtual || strings.Contains(" "+value+" ", " hypervisor ")
		}
	}
	m.Sockets = max(1, len(sockets))
	return m, nil
}
