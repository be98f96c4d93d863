package llem_test

import (
	"errors"
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
	inertSweepsAreRefused(t, plugins)
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

// inertSweepsAreRefused sweeps parameters of real backends that nothing would make
// live: the cells would be one deployment, compared with itself.
func inertSweepsAreRefused(t *testing.T, plugins string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "study.toml")
	for sweep, why := range map[string]string{
		"pytorch.tp_size = [1, 2]": `it has no effect in any of its cells (tp_size=1; tp_size=2): tp_size: it belongs to tp_plan = "auto"`,
		"vllm.gpu_memory_utilization = [0.5, 0.9]\nbackends.vllm.kv_cache_memory_bytes = 1073741824": "in any of its cells (gpu_memory_utilization=0.5; gpu_memory_utilization=0.9): gpu_memory_utilization: kv_cache_memory_bytes says",
	} {
		backend, _, _ := strings.Cut(sweep, ".")
		text := "name = \"inert\"\nbackend = \"" + backend + "\"\nmodel = {id = \"llem/random-tiny\", weights = \"dummy\"}\n" +
			"workload = {requests = 8, input_tokens = 8, output_tokens = 8}\nload.mode = \"batch\"\nsweep.backends." + sweep + "\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		output, err := exec.Command(command, "run", "--dry-run", "--plugin-dir", plugins, path).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(output), why) {
			t.Errorf("%s: %v\n%s", sweep, err, output)
		}
	}
}
