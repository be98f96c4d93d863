package main

import (
	"fmt"

	"github.com/llenergymeasure/llem"
)

// reportCommand is `llem report DIR`.
type reportCommand struct {
	Dir    string `arg:"" help:"Result directory."`
	Format string `help:"What to print on stdout: table, json or csv." enum:"table,json,csv" default:"table"`
}

// Run derives everything again from the directory alone. Summary files that
// cannot be renewed, as in a read-only archive, are worth a warning.
func (c *reportCommand) Run(a *app) error {
	summary, _, _, err := llem.Report(c.Dir, a.user)
	if summary.Dir == "" {
		return usageError{err}
	}
	if err != nil {
		fmt.Fprintf(a.stderr, "warning: %v\n", err)
	}
	return printSummary(a.stdout, summary, c.Format)
}
