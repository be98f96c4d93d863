package llem_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

// TestStrangersPlugin builds the example plugin outside the workspace, as its
// author would, and runs its study.
func TestStrangersPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("examples/plugins/echo")); err != nil {
		t.Fatal(err)
	}
	sdk, err := filepath.Abs("sdk")
	if err != nil {
		t.Fatal(err)
	}
	outside := func(args ...string) {
		t.Helper()
		command := exec.Command("go", args...)
		command.Dir, command.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, output)
		}
	}
	outside("mod", "edit", "-replace="+module+"/sdk="+sdk)
	outside("build", "-o", "echo", ".")
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
	plugins := filepath.Join(dir, "plugins")
	for _, args := range [][]string{
		{"plugins", "install", "--dir", plugins, filepath.Join(dir, "echo")},
		{"plugins", "check", "--plugin-dir", plugins, "echo"},
		{"run", "--dry-run", "--plugin-dir", plugins, "--plugin-dir", pluginDir, file},
		{"run", "--cycles", "1", "--plugin-dir", plugins, "--plugin-dir", pluginDir, "--out", filepath.Join(dir, "results"), file},
	} {
		if output, err := exec.Command(command, args...).CombinedOutput(); err != nil {
			t.Fatalf("llem %v: %v\n%s", args, err, output)
		}
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
	s, err := study.Parse("example", study.Example())
	if err == nil {
		_, err = study.Expand(s)
	}
	if err != nil {
		t.Error(err)
	}
}
