package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// pluginDir holds the plugins of the tests, installed by llem itself.
var pluginDir string

// TestMain lets the test binary be llem, and builds the plugins.
func TestMain(m *testing.M) {
	testscript.Main(withPlugins{m}, map[string]func(){"llem": main})
}

// withPlugins runs the tests with the plugins installed.
type withPlugins struct{ *testing.M }

func (m withPlugins) Run() int {
	dir, err := os.MkdirTemp("", "llem-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	pluginDir = filepath.Join(dir, "plugins")
	for name, source := range map[string]string{"sim": "../../plugins/sim", "replay": "../../plugins/replay", "picky": "./testdata/picky"} {
		binary := filepath.Join(dir, name)
		command("go", "build", "-o", binary, source)
		command("llem", "plugins", "install", "--dir", pluginDir, binary)
	}
	return m.M.Run()
}

func command(name string, args ...string) {
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s %v: %v\n%s", name, args, err, output))
	}
}

// oneCell is a study of one cell on the simulator: 8 sequences, 1 ms for a step, 80 W. With
// 16 us of prefill a pass of 800 tokens takes 100.128 ms: 0.01001 J/token.
const oneCell = `name = "known"
backend = "sim"
energy = ["meter"]

[model]
id = "sim"

[workload]
requests = 8
input_tokens = 16
output_tokens = 100

[load]
mode = "batch"

[protocol]
profile = "quick"
warmup = "fast"
idle_s = 0
conditioning_s = 0.5
window_s = 2
cycles = 1

[backends.sim]
batch_size = 8

[sources.meter]
plugin = "sim"
power_w = 80.0
`
