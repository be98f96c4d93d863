package result

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/sdk"
)

func TestTrialGolden(t *testing.T) {
	traces := sampleTraces(t)
	trial := sampleTrial(t, traces)
	text, err := encodeTrial(trial)
	if err != nil {
		t.Fatal(err)
	}
	golden := "testdata/trial.json"
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("trial.json (-want +got):\n%s", diff)
	}
	back, err := decodeTrial(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(trial, back); diff != "" {
		t.Errorf("round trip (-written +read):\n%s", diff)
	}
}

// A domain without energy has no numbers in the file: a 0 would be read as one. Files
// from before hold zeros in that place, and are read as the same.
func TestADomainWithoutEnergy(t *testing.T) {
	trial := sampleTrial(t, sampleTraces(t))
	silent := DomainEnergy{DomainID: "rack/outlet-3", Kind: "rack", Source: "rack", Error: "the recording has no samples (no_samples)"}
	trial.Windows[0].Domains = append(trial.Windows[0].Domains, silent)
	text, err := encodeTrial(trial)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Windows []struct {
			Domains []map[string]any `json:"domains"`
		} `json:"windows"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"domain_id": silent.DomainID, "kind": "rack", "source": "rack", "error": silent.Error}
	domains := file.Windows[0].Domains
	if diff := cmp.Diff(want, domains[2]); diff != "" || domains[0]["window"] == nil {
		t.Errorf("the domain without energy (-want +got):\n%s\nand one with: %v", diff, domains[0])
	}
	const zeros = `"window": {"domain":"","from_ns":0,"to_ns":0,"energy_j":0,"mean_power_w":0,"coverage_ratio":0,"method":"","samples":0,"random_rel":0,"gain_rel":0,"offset_w":0}, "error": "the rec`
	old := strings.Replace(string(text), `"error": "the rec`, zeros, 1)
	for name, text := range map[string]string{"now": string(text), "before": old} {
		back, err := decodeTrial([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(silent, back.Windows[0].Domains[2]); diff != "" || name == "before" && !strings.Contains(text, zeros) {
			t.Errorf("as written %s (-written +read):\n%s", name, diff)
		}
	}
}

// The directory testdata/v1 is what version 1 wrote. It is made once and kept
// for ever; every later reader has to read it.
func TestVersion1IsRead(t *testing.T) {
	const dir = "testdata/v1"
	if _, err := os.Stat(dir); *update && errors.Is(err, fs.ErrNotExist) && SchemaVersion == 1 {
		d, traces := testDir(t), sampleTraces(t)
		if err := publish(d, sampleTrial(t, traces), traces); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(d.Path(), "runs/c0ffee-b2"))); err != nil {
			t.Fatal(err)
		}
	}
	trial, err := ReadTrial(dir)
	if err != nil {
		t.Fatal(err)
	}
	if trial.Cell.ID != "c0ffee" || trial.Cell.Parameters.Int("threads", 0) != 1<<53+1 || trial.Block != 2 || *trial.Windows[0].EnergyJ < 840 {
		t.Errorf("read %+v", trial)
	}
	recompute(t, dir, trial)
	requests, err := ReadRequests(dir)
	if err != nil || len(requests) != 2 || *requests[0].OutputHash != math.MaxUint64 {
		t.Errorf("requests: %+v, %v", requests, err)
	}
}

func TestVersions(t *testing.T) {
	text, err := encodeTrial(sampleTrial(t, sampleTraces(t)))
	if err != nil {
		t.Fatal(err)
	}
	old := func(v string) []byte {
		return []byte(strings.Replace(string(text), `"schema_version": 1`, `"schema_version": `+v, 1))
	}
	for v, want := range map[string]string{
		"2":      "schema_version 2 is newer than 1",
		"999999": "is newer than 1",
		"0":      "no schema_version",
		"-1":     "no schema_version",
		"null":   "no schema_version",
		`"1"`:    "no trial record",
	} {
		if _, err := decodeTrial(old(v)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("schema_version %s: %v, want %q", v, err, want)
		}
	}
	// A reader of the future brings version 1 up step by step.
	steps := map[int]migration{
		1: func(r map[string]any) error { r["study"] = r["study"].(string) + "+2"; return nil },
		2: func(r map[string]any) error { r["study"] = r["study"].(string) + "+3"; return nil },
	}
	trial, err := decodeVersion(text, 3, steps)
	if err != nil || trial.Study != "quickstart+2+3" || trial.SchemaVersion != 3 || trial.Cell.Parameters.Int("threads", 0) != 1<<53+1 {
		t.Errorf("migrated to %q, version %d, %v", trial.Study, trial.SchemaVersion, err)
	}
	if _, err := decodeVersion(text, 4, steps); err == nil || !strings.Contains(err.Error(), "no migration to 4") {
		t.Errorf("a missing step: %v", err)
	}
	steps[2] = func(map[string]any) error { return errors.New("cell lost") }
	if _, err := decodeVersion(text, 3, steps); err == nil || !strings.Contains(err.Error(), "from schema_version 2 to 3: cell lost") {
		t.Errorf("a failing step: %v", err)
	}
}

func TestTablesKeepTheirTypes(t *testing.T) {
	leaf := rapid.OneOf(rapid.Int64().AsAny(), rapid.Float64().Filter(func(f float64) bool { return !notFinite(f) }).AsAny(), rapid.Bool().AsAny(), rapid.String().Filter(utf8Only).AsAny())
	rapid.Check(t, func(r *rapid.T) {
		table := sdk.Table{}
		for _, key := range rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,8}`), 0, 6).Draw(r, "keys") {
			switch rapid.IntRange(0, 2).Draw(r, "shape") {
			case 0:
				table[key] = leaf.Draw(r, "leaf")
			case 1:
				table[key] = rapid.SliceOfN(leaf, 0, 4).Draw(r, "list")
			default:
				table[key] = sdk.Table{"x": leaf.Draw(r, "inner")}
			}
		}
		text, err := encodeTrial(Trial{Cell: Cell{Parameters: table}})
		if err != nil {
			r.Fatal(err)
		}
		back, err := decodeTrial(text)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(table, back.Cell.Parameters); diff != "" {
			r.Fatalf("-written +read:\n%s", diff)
		}
	})
}

func utf8Only(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsRune(s, '\uFFFD')
}

func FuzzDecodeTrial(f *testing.F) {
	golden, err := os.ReadFile("testdata/v1/trial.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"schema_version":1,"cell":{"parameters":{"a":[1,{"b":null}]}}}`))
	f.Add([]byte(`{"schema_version":1}{}`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trial, err := decodeTrial(text)
		if err != nil {
			return
		}
		again, err := encodeTrial(trial)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := decodeTrial(again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
