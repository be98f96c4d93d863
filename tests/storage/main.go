// Command storage writes a long recording of many GPUs on a simulated clock and
// prints what it costs, each figure beside its target. It is run from the root of
// the repository:
//
//	go run ./tests/storage [-hours 24] [-gpus 8]
//
// The samples are those of a real ring (core/energy/testdata/h100), begun at
// another place for each GPU, with noise on every value and every stamp, so that
// nothing in the file repeats. Writing and reading are processes of their own,
// whose peak memory is the kernel's.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// Targets of a recording.
const (
	mostBytesASample = 8
	mostMemoryMB     = 64
)

func main() {
	hours := flag.Float64("hours", 24, "how long the recording is")
	gpus := flag.Int("gpus", 8, "how many GPUs are recorded")
	part := flag.String("part", "", "run one part: write or read")
	dir := flag.String("dir", "", "where a part works")
	flag.Parse()
	var err error
	switch *part {
	case "write":
		err = answer(write(*dir, *hours, *gpus))
	case "read":
		err = answer(read(*dir, *hours))
	default:
		err = measure(*hours, *gpus)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "storage:", err)
		os.Exit(1)
	}
}

// figures are what a part found.
type figures struct {
	Samples int64
	Bytes   int64
	Joules  float64 // of the slice
	EarlyMB float64 // resident, after a tenth of the recording
	PeakMB  float64
}

func answer(f figures, err error) error {
	if err != nil {
		return err
	}
	if f.PeakMB, err = resident("VmHWM"); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

func measure(hours float64, gpus int) error {
	dir, err := os.MkdirTemp("", "llem-storage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	part := func(name string) (f figures, err error) {
		cmd := exec.Command(os.Args[0], "-part", name, "-dir", dir,
			"-hours", strconv.FormatFloat(hours, 'g', -1, 64), "-gpus", strconv.Itoa(gpus))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &f)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		return f, nil
	}
	written, err := part("write")
	if err != nil {
		return err
	}
	slice, err := part("read")
	if err != nil {
		return err
	}
	fmt.Printf("%g h of %d GPUs: %d samples, %.1f MB\n", hours, gpus, written.Samples, float64(written.Bytes)/1e6)
	show("storage: bytes a sample", float64(written.Bytes)/float64(written.Samples), "B", mostBytesASample)
	show("storage: peak memory of the writer", written.PeakMB, "MB", mostMemoryMB)
	show("storage: memory after a tenth of it", written.EarlyMB, "MB", 0)
	show("storage: peak memory, a slice read", slice.PeakMB, "MB", mostMemoryMB)
	fmt.Printf("the slice: %d samples, %.0f J\n", slice.Samples, slice.Joules)
	return nil
}

// show prints a figure with the most that it should be; 0 = no bound.
func show(name string, value float64, unit string, most float64) {
	verdict := ""
	switch {
	case most == 0:
	case value <= most:
		verdict = fmt.Sprintf("target <= %g: reached", most)
	default:
		verdict = fmt.Sprintf("target <= %g: NOT reached", most)
	}
	fmt.Printf("%-44s %10.3f %-9s %s\n", name, value, unit, verdict)
}
