// Command truth holds llem's joules and intervals against what is known to be
// true: a recording of a real GPU, simulated sensors over simulated engines, and
// the theory of the t test. It is run from the root of the repository:
//
//	go run ./tests/truth            # each target beside the figure reached
//	go run ./tests/truth -write     # and renew docs/accuracy.md with its plots
//	go run ./tests/truth -quick     # fewer studies, wider limits, for CI
//
// Time is simulated and every seed is fixed, so the figures are the same on every
// machine of one architecture, whatever the number of cores. The exit code is 1 if
// a target is not reached that excuses does not list, or could not be worked out.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "a tenth of the studies, limits widened by what their number scatters")
	write := flag.Bool("write", false, "renew docs/accuracy.md and its plots (not with -quick)")
	flag.Parse()
	if *quick && *write {
		fmt.Fprintln(os.Stderr, "truth: -write needs the full number of studies; leave -quick out")
		os.Exit(2)
	}
	e := effort{studies: fullStudies}
	if *quick {
		e.studies = 1_000
	}
	if err := run(e, *write); err != nil {
		fmt.Fprintln(os.Stderr, "truth:", err)
		os.Exit(1)
	}
}

// effort is how much is simulated.
type effort struct {
	studies int // behind every coverage, power and false-alarm figure
}

const fullStudies = 10_000

// section is a part of the table of targets.
type section struct {
	title string
	work  func(effort) (report, error)
}

// report is what a section found.
type report struct {
	figures []figure
	plots   []plot
	notes   []string
}

func sections() []section {
	return []section{
		{"Recorded H100 (T1)", recorded},
		{"Simulated sensors: windows (T2)", windows},
		{"Simulated sensors: intervals (T2)", intervals},
		{"Sensors that look at part of the time (T2)", dutySensors},
		{"Prefill and decode (T2)", phases},
		{"Faults in the samples (T2)", faults},
		{"A against B (T4)", comparisons},
		{"Sampler and storage", costs},
		{"Real GPU (T3, T5)", hardware},
	}
}

func run(e effort, write bool) error {
	var all []found
	var figures []figure
	begin := time.Now()
	for _, s := range sections() {
		fmt.Printf("%s\n", s.title)
		r, err := s.work(e)
		if err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
		for _, note := range r.notes {
			fmt.Println("  " + strings.ReplaceAll(wrap(note), "\n", "\n  "))
		}
		for _, f := range excused(r.figures, excuses()) {
			fmt.Println("  " + f.String())
		}
		figures = append(figures, r.figures...)
		fmt.Printf("  %.0f s\n", time.Since(begin).Seconds())
		all = append(all, found{s.title, r})
	}
	if write {
		if err := writePage("docs", e, all); err != nil {
			return err
		}
	}
	return verdict(figures, excuses())
}

// verdict of the whole table, and a line that says how it came about.
func verdict(figures []figure, list []excuse) error {
	aimed, missed, let, open := 0, 0, 0, 0
	for _, f := range figures {
		switch {
		case f.missed():
			missed++
		case f.off():
			let++
		case f.open():
			open++
		}
		if f.aimed() {
			aimed++
		}
	}
	fmt.Printf("\n%s%d rows have a target: %d reach it (%d of them not with all of their interval), %d do not and are excused, %d do not and are not\n", excusedRows(figures), aimed, aimed-let-missed, open, let, missed)
	if missed > 0 {
		return fmt.Errorf("%d targets missed", missed)
	}
	return stale(figures, list)
}
