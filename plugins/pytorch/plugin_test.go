//go:build engines

package main

import (
	"testing"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// TestConformance drives the built binary as llem does.
func TestConformance(t *testing.T) {
	t.Parallel()
	plugin := buildPlugin(t)
	for name, parameters := range map[string]sdk.Table{
		"defaults": {}, "batches": {"batch_size": int64(2), "cache_implementation": "static", "dtype": "bfloat16", "batching": "length_sorted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := engineCell(t, parameters)
			plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &c})
		})
	}
}
