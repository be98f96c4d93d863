package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// zones of a machine with two packages. The trees are made here because a
// module cannot hold files with a colon in their names.
var server = map[string]string{
	"intel-rapl/enabled":                       "1",
	"intel-rapl:0/name":                        "package-0",
	"intel-rapl:0/max_energy_range_uj":         "262143328850",
	"intel-rapl:0/energy_uj":                   "262143000000",
	"intel-rapl:0:0/name":                      "core",
	"intel-rapl:0:0/energy_uj":                 "5",
	"intel-rapl:0:1/name":                      "dram",
	"intel-rapl:0:1/max_energy_range_uj":       "65712999613",
	"intel-rapl:0:1/energy_uj":                 "77",
	"intel-rapl:1/name":                        "package-1",
	"intel-rapl:1/max_energy_range_uj":         "262143328850",
	"intel-rapl:1/energy_uj":                   "1000",
	"intel-rapl:1:0/name":                      "dram",
	"intel-rapl:1:0/max_energy_range_uj":       "65712999613",
	"intel-rapl:1:0/energy_uj":                 "88",
	"intel-rapl:2/name":                        "psys",
	"intel-rapl:2/max_energy_range_uj":         "262143328850",
	"intel-rapl:2/energy_uj":                   "123456",
	"intel-rapl-mmio:0/name":                   "package-0",
	"intel-rapl-mmio:0/energy_uj":              "262143000000",
	"intel-rapl-mmio:0/max_energy_range_uj":    "262143328850",
	"intel-rapl:0/constraint_0_power_limit_uw": "0",
}

// plant makes a sysfs with the given files under class/powercap.
func plant(t *testing.T, files map[string]string) (sysfs string) {
	t.Helper()
	sysfs = t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(powercap(sysfs), name), text)
	}
	return sysfs
}

// write replaces a file by one rename, so that a reader sees the old or the
// new number and never a part.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// turn advances a counter by 1 J every 5 ms (200 W), around its end, until
// the test is over.
func turn(t *testing.T, path string, raw, rangeUJ uint64) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if raw += 1_000_000; raw > rangeUJ {
				raw -= rangeUJ
			}
			write(t, path, fmt.Sprint(raw))
		}
	}()
}

// built is the plugin as it is installed.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rapl")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// The built plugin keeps every rule of the contract on counters that turn and
// wrap.
func TestConformance(t *testing.T) {
	sysfs := plant(t, server)
	turn(t, filepath.Join(powercap(sysfs), "intel-rapl:0", "energy_uj"), 262143000000, 262143328850)
	results := plugintest.Check(t.Context(), []string{built(t)}, plugintest.Options{
		SourceParameters: sdk.Table{"sysfs": sysfs, "period_ms": int64(10)},
	})
	judged := 0
	for _, r := range results {
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
