package llem_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesOfBackendsAreDryRun needs none of the engines and no GPU: until a load
// is near, the backends compute on the study alone.
func TestExamplesOfBackendsAreDryRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	for _, name := range []string{"ggml", "pytorch", "tensorrt", "vllm"} {
		for _, argv := range [][]string{
			{"go", "build", "-o", filepath.Join(dir, name), "./plugins/" + name},
			{command, "plugins", "install", "--dir", plugins, filepath.Join(dir, name)},
		} {
			if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", argv, err, output)
			}
		}
	}
	for name, plan := range map[string]string{
		"phases.toml":        "4 trials in 2 blocks",
		"pytorch-batch.toml": "9 trials in 3 blocks", "pytorch-dtype.toml": "6 trials in 3 blocks",
		"pytorch-tensor-parallel.toml": "6 trials in 3 blocks",
		"tensorrt-backends.toml":       "30 trials in 5 blocks",
		"vllm-concurrency.toml":        "9 trials in 3 blocks", "vllm-vs-pytorch.toml": "6 trials in 3 blocks", "poisson-slo.toml": "9 trials in 3 blocks",
	} {
		text, err := os.ReadFile(filepath.Join("examples", name))
		if err == nil { // a copy: the lock is written beside the study
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		run := exec.Command(command, "run", "--dry-run", "--plugin-dir", plugins, filepath.Join(dir, name))
		run.Env = append(os.Environ(), "PATH="+t.TempDir(), "VIRTUAL_ENV=")
		if output, err := run.CombinedOutput(); err != nil || !strings.Contains(string(output), plan) {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}
