package main

import (
	"fmt"
	"os"

	"github.com/llenergymeasure/llem"
)

// reportCommand is `llem report DIR`.
type reportCommand struct {
	Dir    string `arg:"" help:"Result directory."`
	Format string `help:"What to print on stdout: table, json or csv." enum:"table,json,csv" default:"table"`
}

// Run derives everything again from the directory alone.
func (c *reportCommand) Run(a *app) error {
	if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
		return usageError{fmt.Errorf("report %s: expected a result directory, as `llem run` makes it", c.Dir)}
	}
	summary, _, _, err := llem.Report(c.Dir, a.user)
	if err != nil {
		return err
	}
	return printSummary(a.stdout, summary, c.Format)
}
