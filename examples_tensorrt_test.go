package llem_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTensorRTExampleIsDryRun needs no TensorRT-LLM and no GPU: until a load is
// near, the backend computes on the study alone.
func TestTensorRTExampleIsDryRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	for _, argv := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "tensorrt"), "./plugins/tensorrt"},
		{command, "plugins", "install", "--dir", plugins, filepath.Join(dir, "tensorrt")},
	} {
		if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, output)
		}
	}
	study := filepath.Join(dir, "tensorrt-backends.toml") // a copy: the lock is written beside it
	text, err := os.ReadFile("examples/tensorrt-backends.toml")
	if err == nil {
		err = os.WriteFile(study, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(command, "run", "--dry-run", "--plugin-dir", plugins, study)
	run.Env = append(os.Environ(), "PATH="+t.TempDir(), "VIRTUAL_ENV=")
	if output, err := run.CombinedOutput(); err != nil || !strings.Contains(string(output), "30 trials in 5 blocks") {
		t.Errorf("%v\n%s", err, output)
	}
}
