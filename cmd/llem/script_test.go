package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// TestScripts runs the user stories, each with its own home and plugins.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
				env.Setenv(name, "")
			}
			env.Setenv("LLEM_PLUGIN_DIR", pluginDir)
			env.Setenv("INSTALLED", pluginDir)
			return os.WriteFile(filepath.Join(env.WorkDir, "study.toml"), []byte(oneCell), 0o644)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": code, "replace": replace, "write": write, "fill": fill, "fake": fake, "mask": mask, "joules": joules,
		},
	})
}

// code N COMMAND... runs a command that must end with exit code N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, expected %s", got, args[0])
	}
}

// replace FILE OLD NEW changes a text in a file, which must be there.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	old := ts.ReadFile(args[0])
	unquote := func(s string) string { return strings.ReplaceAll(s, `\n`, "\n") }
	text := strings.ReplaceAll(old, unquote(args[1]), unquote(args[2]))
	if text == old {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// write FILE TEXT writes a Go string literal's content.
func write(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// fill FILE BYTES writes a file of comments of that size.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("#\n"), n/2), 0o644))
}

// fake NAME PROGRAM [PROTOCOL] makes plugins/NAME of a program, unverified.
func fake(ts *testscript.TestScript, _ bool, args []string) {
	protocol := "1"
	if len(args) > 2 {
		protocol = args[2]
	}
	dir := ts.MkAbs(filepath.Join("plugins", args[0]))
	ts.Check(os.MkdirAll(dir, 0o755))
	program := []byte(ts.ReadFile(args[1]))
	ts.Check(os.WriteFile(filepath.Join(dir, args[0]), program, 0o755))
	manifest := fmt.Sprintf("name = %q\nkinds = [\"backend\"]\nversion = \"1.0.0\"\nprotocol = %s\ncommand = [%q]\n[files]\n%s = \"%x\"\n",
		args[0], protocol, args[0], args[0], sha256.Sum256(program))
	ts.Check(os.WriteFile(filepath.Join(dir, "plugin.toml"), []byte(manifest), 0o644))
}

var (
	masked = regexp.MustCompile(`[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?`)
	spaces = regexp.MustCompile(`  +|---+`)
)

// mask FILE replaces what differs from run to run: numbers and the width of
// columns. What stands below the uncertainty depends on the noise.
func mask(ts *testscript.TestScript, _ bool, args []string) {
	stable, _, _ := strings.Cut(ts.ReadFile(args[0]), "\nuncertainty")
	text := spaces.ReplaceAllString(masked.ReplaceAllString(stable, "N"), "  ") + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// joules FILE LABEL J [LIMIT]: the summary (JSON or CSV) says J/token of the cell
// within LIMIT, or 3 %.
func joules(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	got := math.NaN()
	text := ts.ReadFile(args[0])
	if strings.HasPrefix(text, "{") {
		var summary struct {
			Cells []struct {
				Label     string
				Estimates []struct {
					Metric string
					Centre float64
				}
			}
		}
		ts.Check(json.Unmarshal([]byte(text), &summary))
		for _, cell := range summary.Cells {
			for _, e := range cell.Estimates {
				if cell.Label == args[1] && e.Metric == "energy_per_output_token" {
					got = e.Centre
				}
			}
		}
	} else {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		ts.Check(err)
		column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
		for _, row := range rows {
			if column(row, "label") == args[1] && column(row, "domain") == "" && column(row, "metric") == "energy_per_output_token" {
				got, err = strconv.ParseFloat(column(row, "value"), 64)
				ts.Check(err)
			}
		}
	}
	limit := 0.03
	if len(args) > 3 {
		limit, err = strconv.ParseFloat(args[3], 64)
		ts.Check(err)
	}
	if !(math.Abs(got/want-1) < limit) {
		ts.Fatalf("%s: %v J/token, expected %v", args[1], got, want)
	}
}
