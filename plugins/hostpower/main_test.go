package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/llenergymeasure/llem/sdk/plugintest"
)

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "llem-hostpower-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hostpower")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// The built plugin keeps every rule of the contract on this machine.
func TestConformance(t *testing.T) {
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, r := range plugintest.Check(t.Context(), []string{path}) {
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
