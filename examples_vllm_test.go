package llem_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVLLMExampleIsDryRun needs no vLLM: until a load is near, the backend computes
// on the study alone.
func TestVLLMExampleIsDryRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	for _, argv := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "vllm"), "./plugins/vllm"},
		{command, "plugins", "install", "--dir", plugins, filepath.Join(dir, "vllm")},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, output)
		}
	}
	study := filepath.Join(dir, "vllm-concurrency.toml") // a copy: the lock is written beside it
	text, err := os.ReadFile("examples/vllm-concurrency.toml")
	if err == nil {
		err = os.WriteFile(study, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(command, "run", "--dry-run", "--plugin-dir", plugins, study)
	run.Env = append(os.Environ(), "PATH="+t.TempDir(), "VIRTUAL_ENV=")
	if output, err := run.CombinedOutput(); err != nil || !strings.Contains(string(output), "9 trials in 3 blocks") {
		t.Errorf("%v\n%s", err, output)
	}
}
