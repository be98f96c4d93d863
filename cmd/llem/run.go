package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// app is what every command gets: where to write, and the user's settings.
type app struct {
	ctx    context.Context //nolint:containedctx // lives as long as one command
	stdout io.Writer
	stderr io.Writer
	user   study.UserConfig
	// unreadable says why the settings could not be read; only commands that
	// do without them are run then.
	unreadable error
	warned     []sdk.Warning
}

// commandLine is the grammar of the command line.
type commandLine struct {
	Run        runCommand        `cmd:"" help:"Run a study and print its table."`
	Config     configCommands    `cmd:"" help:"Look at studies, settings and this machine."`
	Plugins    pluginCommands    `cmd:"" help:"List, show, check, install and lock plugins."`
	Report     reportCommand     `cmd:"" help:"Make the table of a result directory again."`
	Completion completionCommand `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Version    versionFlag       `help:"Print the version and exit."`
}

// run is llem without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stdout, stderr = printed{stdout}, printed{stderr}
	var line commandLine
	exited, code := false, exitDone
	parser, err := kong.New(&line,
		kong.Name("llem"),
		kong.Description("Measure the energy and the speed of LLM inference deployments."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(c int) { exited, code = true, c }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "llem: the command line's own grammar is broken:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited {
		return code
	}
	if err != nil {
		return exitCode(ctx, stderr, usageError{fmt.Errorf("%w; %s", err, helpFor(err, args))})
	}
	a := &app{ctx: ctx, stdout: stdout, stderr: stderr}
	path, err := study.UserConfigPath()
	if err == nil {
		a.user, err = study.LoadUser(path)
	}
	if err != nil {
		if !slices.Contains(withoutSettings(), parsed.Command()) {
			return exitCode(ctx, stderr, usageError{err})
		}
		a.user, a.unreadable = study.UserConfig{}, err
	}
	return exitCode(ctx, stderr, parsed.Run(a))
}

// helpFor points to the help of the command that a mistake is about.
func helpFor(err error, args []string) string {
	if args[0] == "version" {
		return "`llem --version` prints the version"
	}
	var mistake *kong.ParseError
	if errors.As(err, &mistake) && mistake.Context != nil {
		if node := mistake.Context.Selected(); node != nil {
			return fmt.Sprintf("`%s --help` lists its arguments and flags", node.FullPath())
		}
	}
	return "`llem --help` lists commands and flags"
}

// withoutSettings lists the commands that can do without the user's settings.
func withoutSettings() []string {
	return []string{"report <dir>", "completion <shell>", "config doctor", "config example", "config schema"}
}

// loadStudy reads a study file; whatever is wrong with it, and with its
// plugins' tables, is a usage error.
func (a *app) loadStudy(path string, settings llem.Settings) (llem.Study, error) {
	settings.User = a.user
	s, err := llem.Load(a.ctx, path, settings)
	if err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// prepare checks a study and says what is doubtful about it. Nothing was
// started if that fails: the study, the settings or the plugins want mending.
func (a *app) prepare(s llem.Study) (*llem.Prepared, error) {
	p, err := llem.Prepare(a.ctx, s)
	if err != nil {
		return nil, usageError{err}
	}
	a.warn(p.Warnings())
	return p, nil
}

// warn prints each warning once.
func (a *app) warn(warnings []sdk.Warning) {
	for _, w := range warnings {
		if !slices.Contains(a.warned, w) {
			a.warned = append(a.warned, w)
			fmt.Fprintf(a.stderr, "warning: %s\n", w.Message)
		}
	}
}

type versionFlag bool

// BeforeReset prints the version before anything else is looked at.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	fmt.Fprintln(k.Stdout, "llem", llem.Version)
	k.Exit(exitDone)
	return nil
}
