package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/study"
)

// reportCommand is `llem report DIR`.
type reportCommand struct {
	Dir       string `arg:"" help:"Result directory."`
	Format    string `help:"What to print on stdout: table, json or csv." enum:"table,json,csv" default:"table"`
	Latencies bool   `help:"Print every latency as well: p50 to p99 of TTFT, TPOT, ITL, E2E and queue time."`
	Out       string `help:"Also write summary.json and summary.csv into DIR, which may be the result directory itself." placeholder:"DIR" type:"path"`
	// Factors is a pointer so that none is no choice to be listed.
	Factors *string `help:"Factors for CO2, cost and calibration: stored (those of the run) or user (those of the settings file)." enum:"stored,user" placeholder:"NAME"`
}

// Run derives everything again from the directory alone, and leaves it as it is:
// files are written only where --out says. Settings that cannot be read are worth a
// warning, since the run's factors are in the directory.
func (c *reportCommand) Run(a *app) error {
	if c.Latencies && c.Format != "table" {
		return usageError{fmt.Errorf("--latencies adds to the table, and --format %s has every latency already: leave it out", c.Format)}
	}
	from := llem.FactorsDefault
	if c.Factors != nil {
		from = llem.FactorsFrom(*c.Factors)
	}
	if a.unreadable != nil {
		why := a.unreadable.Error()
		var problems study.Problems
		if errors.As(a.unreadable, &problems) {
			why = problems.List()
		}
		if from == llem.FactorsUser {
			return usageError{a.unreadable}
		}
		fmt.Fprintf(a.stderr, "warning: the settings file cannot be used, and only factors stored by the run are: %s\n", why)
	}
	r, err := llem.Report(c.Dir, a.user, from)
	if err != nil {
		return usageError{err}
	}
	if r.Note != "" {
		fmt.Fprintf(a.stderr, "note: %s\n", r.Note)
	}
	if err := printSummary(a.stdout, r.Summary, c.Format, c.Latencies); err != nil {
		return err
	}
	return errors.Join(c.write(a, r), c.lacks(a, r))
}

// write writes the derived files where --out says.
func (c *reportCommand) write(a *app, r llem.Reported) error {
	if c.Out == "" {
		return nil
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("--out: %w; name another directory", err)
	}
	if err := r.Write(c.Out); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "summary.json and summary.csv in %s\n", c.Out)
	return nil
}

// lacks says in a few lines what of the study is not in the figures. Then the command
// fails as the run of such a study does, so that no program takes them for all of it.
func (c *reportCommand) lacks(a *app, r llem.Reported) error {
	var failed error
	lack := func(format string, args ...any) {
		fmt.Fprintf(a.stderr, format+"\n", args...)
		failed = errFailed
	}
	problems := 0
	for _, p := range r.Summary.Problems {
		if p.Harmless() {
			continue
		}
		problems++
		if c.Format == "csv" { // the others have a place for it
			lack("problem %s: %s", p.Code, p.Message)
		}
	}
	if problems > 0 {
		lack("%s with %s: what can be read is printed", count(problems, "problem"), c.Dir)
	}
	if n := r.Lost(); n > 0 {
		lack("%s failed; the logs are in %s", count(n, "trial"), filepath.Join(c.Dir, "attempts"))
	}
	if a.unusable(r.Summary) {
		failed = errFailed
	}
	if failed == nil && len(r.Trials) == 0 {
		lack("no trial was finished in %s", c.Dir)
	}
	return failed
}
