package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/dummy"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// plugin is the built binary: it is driven as llem does.
var plugin string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "llem-ggml-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	plugin = filepath.Join(dir, "ggml")
	build := exec.Command("go", "build", "-o", plugin, ".")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the plugin: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

func TestConformance(t *testing.T) {
	plugintest.Run(t, []string{plugin}, plugintest.Options{})
}

// The same rules on a user's file, with sequences beside each other.
func TestConformanceWithAFile(t *testing.T) {
	c := cell(sdk.Table{"batch_size": int64(2), "flash_attention": true, "kv_type": "f32"})
	c.Model = sdk.Model{Path: modelFile(t, dummy.Q8_0), Weights: sdk.WeightsAuto}
	plugintest.Run(t, []string{plugin}, plugintest.Options{Cell: &c})
}
