package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/plugintest"
)

// head describes two domains and names the columns.
const head = `# A counter and a power sensor side by side.
# {"domain": {"id": "rapl/package-0", "kind": "cpu_package", "device_ids": ["package-0"], "reading": "counter", "unit_num": 1, "unit_den": 1000000, "update_ns": 20000000}}
# {"domain": {"id": "nvml/gpu-0", "kind": "gpu", "device_ids": ["GPU-1"], "reading": "interval_mean", "unit_num": 1, "unit_den": 1000, "update_ns": 20000000, "accuracy": {"gain_rel": 0.05, "offset_w": 0}}}
stamp_ns,domain,value
`

// side makes a CSV of n samples of each domain, wall-clock stamps with jitter.
func side(n int) string {
	var text strings.Builder
	text.WriteString(head)
	random := rand.New(rand.NewPCG(1, 2))
	joules := int64(0)
	for i := range int64(n) {
		ns := 1_795_427_112_966_785_000 + i*20e6 + random.Int64N(1e6)
		joules += random.Int64N(2_000_000)
		fmt.Fprintf(&text, "%d,rapl/package-0,%d\n%d,nvml/gpu-0,%d\n", ns, joules, ns+3, 100_000+random.Int64N(9_000))
	}
	return text.String()
}

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// trialDir makes a trial's directory of the rows of a CSV.
func trialDir(t testing.TB, csv string) string {
	t.Helper()
	source, err := openTable(file(t, "x.csv", csv))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	dir := filepath.Dir(file(t, trialFile, "{}"))
	f, err := os.Create(filepath.Join(dir, powerFile))
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[powerRow](f, parquet.MaxRowsPerRowGroup(1000))
	for i := 0; ; i++ {
		rows, err := source.block(i)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if _, err := w.Write([]powerRow{{source.recordings()[r.domain].Domain.ID, r.ns, r.value, r.epoch}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.SetKeyValueMetadata(recordingsKey, note(t, source.recordings()))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The built plugin keeps every rule of the contract, for both kinds of files.
func TestConformance(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "replay")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if info, err := os.Stat(binary); err != nil || info.Size() > 20e6 {
		t.Errorf("the binary has %d bytes, %v", info.Size(), err)
	}
	csv := side(500)
	for name, parameters := range map[string]sdk.Table{
		"csv":   {"path": file(t, "trace.csv", csv)},
		"trial": {"path": trialDir(t, csv), "domains": []any{"nvml/gpu-0"}},
		"loop":  {"path": file(t, "short.csv", side(6)), "loop": true},
	} {
		t.Run(name, func(t *testing.T) {
			judged := 0
			for _, r := range plugintest.Check(t.Context(), []string{binary}, plugintest.Options{SourceParameters: parameters}) {
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
		})
	}
}

func note(t testing.TB, recordings []recording) string {
	t.Helper()
	text, err := json.Marshal(recordings)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
