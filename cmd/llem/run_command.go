package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

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
	display := newProgress(a.stderr, c.Quiet)
	s, err := a.loadStudy(c.Study, llem.Settings{PluginDirs: c.PluginDir, ResultsDir: c.Out, Progress: display.update})
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
		return printPlan(a.stdout, prepared)
	}
	keepSmall()
	trials := len(prepared.Plan.Blocks) * len(prepared.Cells)
	display.open(fmt.Sprintf("%s: %s in %s, at least %s plus loading and warming up", s.Spec.Name, count(trials, "trial"), count(len(prepared.Plan.Blocks), "block"), leastTime(prepared)))
	deaf := context.AfterFunc(a.ctx, func() {
		display.say("interrupted: unloading the engine and keeping what is finished; interrupt again to kill it")
	})
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
	if len(r.Trials)+len(r.Failed) > 0 {
		unprinted = printSummary(a.stdout, r.Summary, c.Format)
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
	for _, cell := range r.Summary.Cells {
		if a.ctx.Err() == nil && cell.Trials == 0 && cell.Excluded > 0 {
			fmt.Fprintf(a.stderr, "%s: none of its %d trials can be used; the warnings say why\n", cell.Label, cell.Excluded)
			return errFailed
		}
	}
	return nil
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

// printPlan shows what a run would do.
func printPlan(w io.Writer, p *llem.Prepared) error {
	fmt.Fprintf(w, "Study   %s\n", p.Spec.Name)
	fmt.Fprintf(w, "Cells   %s\n", cellCounts(p, strconv.Itoa))
	for i, cell := range p.Cells {
		fmt.Fprintf(w, "  %3d  %s  %s\n", i+1, cell.ID, cell.Label)
		for _, d := range p.Checks[i].Diagnostics {
			fmt.Fprintf(w, "       %s: %s: %s\n", d.Severity, d.KeyPath, report.OneLine(d.Message))
		}
	}
	for _, block := range p.Plan.Blocks {
		fmt.Fprintf(w, "Block %d  %v\n", block.Index+1, block.Order)
	}
	trials := len(p.Plan.Blocks) * len(p.Cells)
	_, err := fmt.Fprintf(w, "Plan    %s in %s (%s order), at least %s of idling, conditioning and windows.\n        Loading and warming up are not in it, and until power is steady conditioning takes\n        up to three times as long. Nothing was started.\n",
		count(trials, "trial"), count(len(p.Plan.Blocks), "block"), p.Plan.Order, leastTime(p))
	return err
}

// cellCounts is the number of cells in the form given, and that of the probes.
func cellCounts(p *llem.Prepared, form func(int) string) string {
	cells, probes := p.Counts()
	if probes == 0 {
		return form(cells)
	}
	return form(cells) + " and " + count(probes, "probe")
}

// count is "1 trial" or "2 trials".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// leastTime is what idling, conditioning and windows take.
func leastTime(p *llem.Prepared) time.Duration {
	return time.Duration(p.Plan.LeastNs).Round(time.Second)
}

// printSummary prints results on stdout in one of the three formats. The table
// sees to its own text, and what machines read is left as it is.
func printSummary(w io.Writer, s report.Summary, format string) error {
	w = device(w)
	switch format {
	case "json":
		return report.JSON(w, s)
	case "csv":
		return report.CSV(w, s)
	}
	return report.Table(w, s, tableOptions(w))
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
