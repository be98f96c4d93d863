package llem_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/study"
)

// TestStrangersPlugin does what docs/writing-a-plugin.md says, command by command,
// in a copy of the example outside the workspace, and runs its study.
func TestStrangersPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("examples/plugins/echo")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	plugins := filepath.Join(dir, "plugins")
	do := func(line string) {
		t.Helper()
		args := strings.Fields(strings.ReplaceAll(line, "PATH/TO/llem", root))
		if args[0] == "llem" {
			args[0] = command
		}
		run := exec.Command(args[0], args[1:]...)
		run.Dir, run.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "LLEM_PLUGIN_DIR="+plugins+":"+pluginDir)
		if output, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, output)
		}
	}
	page, err := os.ReadFile("docs/writing-a-plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, found := range regexp.MustCompile(`(?m)^    ((?:go|llem) [^#\n]*[^# \n])`).FindAllStringSubmatch(string(page), -1) {
		line := found[1]
		switch {
		case strings.HasPrefix(line, "go mod init"):
			continue // the copy has a go.mod
		case strings.HasPrefix(line, "llem plugins install"):
			line += " --dir " + plugins
		case strings.HasPrefix(line, "llem run"):
			continue // below
		}
		do(line)
		done = append(done, strings.Join(strings.Fields(line)[:3], " "))
	}
	if want := "go mod edit,go mod tidy,go build -o,llem plugins install,llem plugins check"; strings.Join(done, ",") != want {
		t.Errorf("the page says %q, expected %s", done, want)
	}
	// The study takes whatever energy source the machine has; the simulator is
	// on every machine.
	file := filepath.Join(dir, "study.toml")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append([]byte("energy = [\"sim\"]\n"), text...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	do("llem run --dry-run study.toml")
	do("llem run --cycles 1 --out results study.toml")
	tokensAreTimed(t, dir, 300)
}

// tokensAreTimed: what the example's parameter says of a token's time is true, as
// far as a busy machine lets it.
func tokensAreTimed(t *testing.T, dir string, us float64) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "results", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("results %v, %v", found, err)
	}
	r, err := llem.Report(found[0], study.UserConfig{}, llem.FactorsDefault)
	if err != nil || len(r.Summary.Cells) != 1 {
		t.Fatalf("%d cells, %v", len(r.Summary.Cells), err)
	}
	speed, ok := r.Summary.Cells[0].Estimate("output_tokens_per_s")
	if most := 1e6 / us; !ok || speed.Centre > most || speed.Centre < most/2 {
		t.Errorf("%v tokens/s, expected at most and about %v", speed.Centre, most)
	}
}

// TestExamplesAreRead: every example is a study, and the one that `llem config
// example` prints, too.
func TestExamplesAreRead(t *testing.T) {
	files, err := filepath.Glob("examples/*.toml")
	more, err2 := filepath.Glob("examples/plugins/*/study.toml")
	if err := errors.Join(err, err2); err != nil || len(files) == 0 || len(more) == 0 {
		t.Fatalf("examples: %v, %v, %v", files, more, err)
	}
	for _, file := range append(files, more...) {
		s, err := study.Load(file)
		if err == nil {
			_, err = study.Expand(s)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// TestTheExampleSaysHowLongItTakes: its comment has the times of its plan, with
// its own profile and with the quick one.
func TestTheExampleSaysHowLongItTakes(t *testing.T) {
	said := regexp.MustCompile(`at least (\S+) .*\n.*--profile quick.* (\S+)\.`).FindSubmatch(study.Example())
	if said == nil {
		t.Fatal("the example does not say how long it takes")
	}
	for i, profile := range []string{"", "quick"} {
		s, err := study.Parse("example", study.Example())
		if err == nil && profile != "" {
			err = s.UseProfile(profile)
		}
		if err != nil {
			t.Fatal(err)
		}
		cells, err := study.Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		least := time.Duration(plan.Build(s, cells).LeastNs)
		if want, err := time.ParseDuration(string(said[i+1])); err != nil || want != least {
			t.Errorf("profile %q: it says %s, the plan takes %v", profile, said[i+1], least)
		}
	}
}

// TestTheReplayedExample runs the command of docs/sources.md on a machine without a GPU:
// the power is that of the recorded H100 under load, 651 W in its own window.
func TestTheReplayedExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^    build/llem (run .*)$`).FindSubmatch(page)
	if line == nil {
		t.Fatal("docs/sources.md has no command")
	}
	dir := t.TempDir()
	// A copy: a lock is written beside the study, and the results into the directory.
	const recording = "examples/results/h100-steady/runs/38f5f0fcf758-b0"
	if err := errors.Join(os.CopyFS(filepath.Join(dir, recording), os.DirFS(recording)), copyFile(filepath.Join(dir, "examples/replay.toml"), "examples/replay.toml")); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "replay")
	for _, argv := range [][]string{
		{"go", "build", "-o", binary, "./plugins/replay"},
		{command, "plugins", "install", "--dir", filepath.Join(dir, "plugins"), binary},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, output)
		}
	}
	run := exec.Command(command, strings.Fields(string(line[1]))...)
	run.Dir, run.Env = dir, append(os.Environ(), "LLEM_PLUGIN_DIR="+filepath.Join(dir, "plugins")+":"+pluginDir)
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", run.Args, err, output)
	}
	found, err := filepath.Glob(filepath.Join(dir, "results", "replay-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("results %v, %v", found, err)
	}
	r, err := llem.Report(found[0], study.UserConfig{}, llem.FactorsDefault)
	if err != nil || len(r.Summary.Cells) != 1 {
		t.Fatalf("%d cells, %v", len(r.Summary.Cells), err)
	}
	if power, ok := r.Summary.Cells[0].Estimate("mean_power"); !ok || power.Centre < 630 || power.Centre > 670 || r.Summary.Cells[0].Boundary != "gpu[sim-gpu-0]" {
		t.Errorf("%v W of %s", power.Centre, r.Summary.Cells[0].Boundary)
	}
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	return err
}
