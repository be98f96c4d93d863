//go:build engines

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesRun runs the examples as a new user does: in an active virtual
// environment, with one block.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	build := fromEnvironment(t, "LLEM_TEST_BUILD")
	dir := t.TempDir()
	llem := filepath.Join(build, "llem")
	run := func(name string, args ...string) string {
		command := exec.Command(name, args...)
		command.Env = append(os.Environ(), "VIRTUAL_ENV="+filepath.Dir(filepath.Dir(fromEnvironment(t, "LLEM_TEST_PYTHON"))), "XDG_CACHE_HOME="+dir)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, output)
		}
		return string(output)
	}
	run(llem, "plugins", "install", "--dir", filepath.Join(dir, "plugins"), buildPlugin(t))
	for name, trials := range map[string]int{"pytorch-batch": 3, "pytorch-dtype": 2} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", name+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".toml") // a copy: the lock is written beside it
		// On cores shared with other work, threads that wait by spinning are slow.
		write(t, file, []byte(strings.Replace(string(text), "[backends.pytorch]", "[backends.pytorch]\nnum_threads = 1", 1)))
		output := run(llem, "run", "--cycles", "1", "--plugin-dir", filepath.Join(dir, "plugins"), "--plugin-dir", filepath.Join(build, "plugins"), "--out", filepath.Join(dir, "results"), file)
		if strings.Count(output, " ok ") != trials {
			t.Errorf("%s:\n%s", name, output)
		}
	}
}
