package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/study"
)

// runCommand is `llem run STUDY.toml`.
type runCommand struct {
	Study     string   `arg:"" help:"Study file (TOML)."`
	DryRun    bool     `help:"Check everything, print the plan and stop."`
	Cycles    *int     `help:"Number of blocks, instead of the study's protocol.cycles." placeholder:"N"`
	Profile   string   `help:"Protocol profile, instead of the study's: quick, standard or publication." placeholder:"NAME"`
	Out       string   `help:"Directory in which the result directory is made." default:"results" type:"path" placeholder:"DIR"`
	PluginDir []string `help:"Search this directory for plugins first (repeatable)." type:"path" placeholder:"DIR"`
	Format    string   `help:"What to print on stdout: table, json or csv." enum:"table,json,csv" default:"table"`
	Quiet     bool     `short:"q" help:"No progress on stderr."`
}

// Run implements the command.
func (c *runCommand) Run(a *app) error {
	if c.DryRun && c.Format == "csv" {
		return usageError{errors.New("--dry-run --format csv: a plan is no table; use --format json, or leave --format out")}
	}
	display := newProgress(a.stderr, c.Quiet)
	s, err := a.loadStudy(c.Study, llem.Settings{PluginDirs: c.PluginDir, ResultsDir: c.Out, Created: display.created, Progress: display.update})
	if err != nil {
		return err
	}
	if err := c.override(s.Spec); err != nil {
		return usageError{err}
	}
	prepared, err := a.prepare(s)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.plan(a, prepared)
	}
	keepSmall()
	trials := len(prepared.Plan.Blocks) * len(prepared.Cells)
	besides := "loading and warming up"
	if most := mostCooldown(prepared); most > 0 {
		besides = fmt.Sprintf("up to %s of cooling down, loading and warming up", most)
	}
	display.open(fmt.Sprintf("%s: %s in %s, at least %s plus %s", s.Spec.Name, count(trials, "trial"), count(len(prepared.Plan.Blocks), "block"), leastTime(prepared), besides))
	deaf := context.AfterFunc(a.ctx, display.interrupted)
	result, err := prepared.Run(a.ctx)
	deaf()
	display.close()
	a.warn(prepared.Warnings())
	return errors.Join(c.show(a, result, trials), err)
}

// show prints what a run left. A table that cannot be printed hides nothing
// else: the results are on disk.
func (c *runCommand) show(a *app, r llem.StudyResult, trials int) error {
	if r.Dir == "" {
		return nil
	}
	var unprinted error
	if len(r.Trials)+len(r.Failed)+len(r.Interrupted) > 0 {
		unprinted = printSummary(a.stdout, r.Summary, c.Format, false)
	}
	return errors.Join(unprinted, c.lacks(a, r, trials))
}

// lacks says where the results are and, in one line, what is missing.
func (c *runCommand) lacks(a *app, r llem.StudyResult, trials int) error {
	fmt.Fprintf(a.stderr, "results in %s\n", r.Dir)
	switch {
	case a.ctx.Err() != nil:
		fmt.Fprintf(a.stderr, "%d of %d trials are finished and kept\n", len(r.Trials), trials)
	case r.Outcome.GaveUp != "":
		fmt.Fprintf(a.stderr, "gave up: %s; %d of %d trials were not run\n", r.Outcome.GaveUp, r.Outcome.NotRun, trials)
		return errFailed
	case r.Outcome.Failed > 0:
		fmt.Fprintf(a.stderr, "%d of %d trials failed; their logs are in %s\n", r.Outcome.Failed, trials, filepath.Join(r.Dir, "attempts"))
		return errFailed
	}
	if a.ctx.Err() == nil && a.unusable(r.Summary) {
		return errFailed
	}
	return nil
}

// unusable names the cells that have finished trials and no estimate.
func (a *app) unusable(s report.Summary) (found bool) {
	for _, cell := range s.Cells {
		if cell.Trials == 0 && cell.Excluded > 0 {
			found = true
			fmt.Fprintf(a.stderr, "%s: none of its %d trials can be used; the warnings say why\n", cell.Label, cell.Excluded)
		}
	}
	return found
}

// override applies the flags that replace keys of the study.
func (c *runCommand) override(spec *study.Study) error {
	if c.Cycles != nil {
		if *c.Cycles < 1 {
			return fmt.Errorf("--cycles %d: expected 1 or more", *c.Cycles)
		}
		spec.Protocol.Cycles = *c.Cycles
	}
	if c.Profile != "" {
		return spec.UseProfile(c.Profile)
	}
	return nil
}

// printSummary prints results on stdout in one of the three formats. The table
// sees to its own text, and what machines read is left as it is.
func printSummary(w io.Writer, s report.Summary, format string, latencies bool) error {
	w = device(w)
	switch format {
	case "json":
		return report.JSON(w, s)
	case "csv":
		return report.CSV(w, s)
	}
	options := tableOptions(w)
	options.Latencies = latencies
	return report.Table(w, s, options)
}

func tableOptions(w io.Writer) report.TableOptions {
	options := report.TableOptions{}
	file, ok := w.(*os.File)
	if !ok || !terminal(w) {
		return options
	}
	options.Terminal = true
	options.Color = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		options.Width = width
	}
	return options
}

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }
