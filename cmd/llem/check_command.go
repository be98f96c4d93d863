package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/energy/nvml"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

type pluginCheck struct {
	searchFlags
	Name string `arg:"" help:"Name of an installed plugin, or the path of a plugin's binary."`
}

// longReason is the length from which on a reason is told once.
const longReason = 40

// Run runs the conformance suite and prints a line for each rule. A plugin that
// could not be checked whole because this machine lacks something is no success.
func (c *pluginCheck) Run(a *app) error {
	if c.Name == nvml.Name {
		return usageError{fmt.Errorf("%s is built into llem and is no plugin; `llem plugins show %s` says what it reads", nvml.Name, nvml.Name)}
	}
	command := []string{c.Name}
	if !isPath(c.Name) {
		_, e, err := c.find(a, c.Name)
		if err != nil {
			return err
		}
		if e.Problem != nil {
			return e.Problem
		}
		command = e.Argv()
	}
	results := plugintest.Check(a.ctx, command)
	failed, skipped := 0, 0
	told := map[string]bool{} // long reasons
	var lacking []string
	for _, r := range results {
		mark := "ok  "
		if r.Err != nil {
			mark, failed = "FAIL", failed+1
		}
		if r.Skipped != "" {
			mark, skipped = "n/a ", skipped+1
		}
		if r.Lacking && !slices.Contains(lacking, r.Skipped) {
			lacking = append(lacking, r.Skipped)
		}
		fmt.Fprintf(a.stdout, "%s  %s", mark, r.Rule)
		switch {
		case r.Err != nil:
			fmt.Fprintf(a.stdout, ": %v", r.Err)
		case told[r.Skipped]:
			fmt.Fprint(a.stdout, ": for the same reason")
		case r.Skipped != "":
			fmt.Fprintf(a.stdout, ": %s", report.OneLine(r.Skipped))
			told[r.Skipped] = len(r.Skipped) > longReason
		}
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintf(a.stdout, "%d rules, %d broken, %d not tried\n", len(results), failed, skipped)
	if len(lacking) > 0 {
		// Not a fault of the plugin, and no verdict on it either.
		return fmt.Errorf("%s was not checked whole: %s", c.Name, report.OneLine(strings.Join(lacking, "; ")))
	}
	if failed > 0 {
		return errFailed
	}
	return nil
}
