//go:build engines

package main

import (
	"os/exec"
	"testing"
)

// Weights that are stored by a scheme without a name here are not called plain.
func TestSchemesWithoutAName(t *testing.T) {
	t.Parallel()
	command := exec.Command(fromEnvironment(t, "LLEM_TEST_PYTHON"), "testdata/schemes.py", "internal/worker/python")
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
