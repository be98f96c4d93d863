package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/llenergymeasure/llem/sdk"
)

// usage is one reading of /proc/stat.
type usage struct {
	atNs int64
	cpus int // online
	// restTicks is the time, over all CPUs, in which none of this system's
	// work was on a CPU: idle, waiting for a disk, or taken by other machines
	// of the hypervisor ("steal").
	restTicks int64
}

// tickNs is the unit of /proc/stat: USER_HZ is 100 wherever Go runs on Linux.
const tickNs = 10_000_000

// Columns of the first line, counted from "cpu" = 0.
const (
	columnIdle   = 4
	columnIOWait = 5
	columnSteal  = 8
)

func readUsage(procfs string) (usage, error) {
	path := filepath.Join(procfs, "stat")
	before := sdk.MonoNow()
	text, err := os.ReadFile(path)
	if err != nil {
		return usage{}, err
	}
	at := before + (sdk.MonoNow()-before)/2
	u, err := parseUsage(text)
	if err != nil {
		return usage{}, fmt.Errorf("%s: %w", path, err)
	}
	u.atNs = at
	return u, nil
}

// parseUsage reads the first line, which sums all CPUs, and counts the lines
// of single ones.
func parseUsage(text []byte) (usage, error) {
	var u usage
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	columns := bytes.Fields(first)
	if len(columns) <= columnIOWait || string(columns[0]) != "cpu" {
		return usage{}, fmt.Errorf("the first line %q has no idle time", first)
	}
	for _, i := range []int{columnIdle, columnIOWait, columnSteal} {
		if i >= len(columns) {
			break // kernels without steal
		}
		ticks, err := strconv.ParseInt(string(columns[i]), 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("column %d: %w", i, err)
		}
		u.restTicks += ticks
	}
	for bytes.HasPrefix(rest, []byte("cpu")) {
		u.cpus++
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	if u.cpus == 0 {
		return usage{}, errors.New("there is no line of a single CPU")
	}
	return u, nil
}

// meter makes busy shares of successive readings.
//
// Busy is what is left of the time when the rest is taken away, and not the
// sum of the busy columns: those are sampled at the kernel's timer tick and
// miss work between ticks, while idle time is exact but for the cut to 10 ms.
// What the cut takes from one interval comes back in the next, so windows of
// many intervals are not blurred by it.
type meter struct {
	last    usage
	carryNs int64 // busy time found that did not fit into its interval
}

// carryMost bounds what is carried: the cut of three columns, twice.
const carryMost = 6 * tickNs

// share returns the busy share of all CPUs since the reading before, 0 to 1.
func (m *meter) share(now usage) float64 {
	whole := int64(now.cpus) * (now.atNs - m.last.atNs)
	busy := whole - (now.restTicks-m.last.restTicks)*tickNs + m.carryNs
	m.last = now
	fits := max(0, min(busy, whole))
	m.carryNs = max(-carryMost, min(busy-fits, carryMost))
	if whole <= 0 {
		return 0
	}
	return float64(fits) / float64(whole)
}
