// Command bench measures llem itself and prints each figure beside its target.
// It is run from the root of the repository after `make`:
//
//	go run ./tests/bench
//
// Nothing here fails on a slow machine: a figure is printed, and whoever reads it
// knows the machine. The exit code is 1 only if something could not be measured.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Printf("%d CPUs, %s/%s, %s\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	ok := true
	for _, measure := range []func() ([]figure, error){sizes, dryRuns, seam, memory} {
		figures, err := measure()
		for _, f := range figures {
			fmt.Println(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			ok = false
		}
	}
	if !ok {
		os.Exit(1)
	}
}

// figure is one measured value with the most that it should be.
type figure struct {
	name, unit   string
	value, limit float64 // limit 0 = none
	note         string
}

func (f figure) String() string {
	verdict := ""
	switch {
	case f.limit == 0:
	case f.value <= f.limit:
		verdict = fmt.Sprintf("target <= %g: reached", f.limit)
	default:
		verdict = fmt.Sprintf("target <= %g: NOT reached", f.limit)
	}
	return fmt.Sprintf("%-44s %10.3f %-9s %s %s", f.name, f.value, f.unit, verdict, f.note)
}
