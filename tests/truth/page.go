package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// found is what a section of the table came to.
type found struct {
	title  string
	report report
}

// writePage renews accuracy.md and its plots below dir.
func writePage(dir string, e effort, sections []found) error {
	var b strings.Builder
	b.WriteString(pageHead)
	var all []figure
	for _, s := range sections {
		all = append(all, s.report.figures...)
	}
	b.WriteString(excusedRows(all))
	b.WriteString(pageProves)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n", s.title)
		for _, note := range s.report.notes {
			fmt.Fprintf(&b, "\n%s\n", wrap(note))
		}
		if len(s.report.figures) > 0 {
			b.WriteString("\n| | what | reached | target | |\n|---|---|---|---|---|\n")
		}
		for _, f := range s.report.figures {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.target, cell(strings.TrimSpace(f.name)), f.shown(), f.limit(), cell(f.remark()))
		}
		for _, p := range s.report.plots {
			name := filepath.Join("accuracy", p.file)
			if err := write(filepath.Join(dir, name), p.svg()); err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n![%s](%s)\n", p.title, name)
		}
	}
	b.WriteString(pageTail)
	return write(filepath.Join(dir, "accuracy.md"), b.String())
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the accuracy page: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the accuracy page: %w", err)
	}
	return nil
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// wrap breaks a paragraph at words.
func wrap(s string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(s) {
		if i > 0 {
			if column+1+len(word) > 80 {
				b.WriteString("\n")
				column = 0
			} else {
				b.WriteString(" ")
				column++
			}
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

const pageHead = `# How right the number is

This page is made by

    go run ./tests/truth -write

which holds the product's own arithmetic (the packages energy, stats, phase and plan
of core) against what is known to be true: a recording of a real GPU, simulated
sensors of real chips over simulated engines of known energy, and the theory of the t
test. Time is simulated and the seeds are fixed, so the command gives the same figures
again, but for the memory of a process. ` + "`make truth`" + ` prints them. It ends with an
error if a row does not reach its target, but for those that tests/truth/excused.go lists
with the reason and with how far they may be off all the same; an excuse that its row no
longer needs is an error, too. A row is judged by its figure; where the figure has an
interval that reaches beyond the target, the row says so.

`

const pageProves = `What it proves is the arithmetic, from samples to intervals. The gain of a real
sensor it cannot prove: ring and counter of a GPU sit behind one sensor, so their
agreement proves the sampling. That is why ±5 % stands beside every joule.
`

const pageTail = `
## What has never met real hardware

All that ran on a real GPU ran on one NVIDIA H100 80GB HBM3 or H200 at a time, with one
driver (580) and in a virtual machine. The following is tried on fakes, recordings that were
changed, or simulated sensors only:

| What | Tried on |
|---|---|
| any card but these two: the windows of the sensors of A100, V100 and Ada, averages over 1 s | simulated sensors, whose periods come from published measurements |
| several GPUs in one cell | fakes of up to eight; sums of simulated sensors |
| driver reloaded in a run (the counter restarts) | a fake library; a recording that was changed |
| a GPU that falls off the bus in a window | a fake library |
| MIG, vGPU | a fake library |
| sensors with module scope (Grace Hopper) | a fake library |
| throttling by heat, power brake | fake counters and reasons; of the real card the power cap alone was seen at work |
| ECC errors | fake counters |
| RAPL counters of a CPU | fake files of sysfs |

The gates that watch for these have thresholds from documents and theory, not from having
seen them fail.
`
