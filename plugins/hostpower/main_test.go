package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// built is the plugin as it is installed.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hostpower")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// The built plugin keeps every rule of the contract on this machine.
func TestConformance(t *testing.T) {
	judged := 0
	for _, r := range plugintest.Check(t.Context(), []string{built(t)}) {
		switch {
		case r.Err != nil:
			t.Errorf("%s: %v", r.Rule, r.Err)
		case r.Skipped != "" && r.Skipped != "it is no backend":
			t.Errorf("%s was not tried: %s", r.Rule, r.Skipped)
		case r.Skipped == "":
			judged++
		}
	}
	if judged < 8 {
		t.Errorf("only %d rules were tried", judged)
	}
}
