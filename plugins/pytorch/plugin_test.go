//go:build engines

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// TestConformance drives the built binary as llem does.
func TestConformance(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "pytorch")
	if text, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, text)
	}
	for name, parameters := range map[string]sdk.Table{
		"defaults": {}, "batches": {"batch_size": int64(2), "cache_implementation": "static", "dtype": "bfloat16", "batching": "length_sorted"},
	} {
		t.Run(name, func(t *testing.T) {
			c := engineCell(t, parameters)
			plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &c})
		})
	}
}
