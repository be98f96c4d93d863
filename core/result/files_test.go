package result

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// twoTrials are published, "own" and "other", with files that differ.
func twoTrials(t *testing.T) (d *Dir, own, other string) {
	t.Helper()
	d = testDir(t)
	publishCells(t, d, "own")
	traces := sampleTraces(t)
	trial := sampleTrial(t, traces)
	trial.Cell.ID, trial.Block = "other", 0
	a, err := d.Begin("other", 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(a.Log(), "another")
	if err := a.WriteRequests([]sdk.Completion{{Request: 7, FinishReason: "stop"}}, "measured"); err != nil {
		t.Fatal(err)
	}
	if err := a.WritePower(traces, 29e9, 51e9); err != nil {
		t.Fatal(err)
	}
	if err := a.Publish(trial); err != nil {
		t.Fatal(err)
	}
	return d, filepath.Join(d.Path(), RunDir("own", 0)), filepath.Join(d.Path(), RunDir("other", 0))
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRecordsDescribeTheFilesBesideThem(t *testing.T) {
	_, own, _ := twoTrials(t)
	trial, err := ReadTrial(own)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range trial.Files {
		names = append(names, f.Name)
		text := read(t, own, f.Name)
		if want := fmt.Sprintf("%x", sha256.Sum256(text)); f.SHA256 != want || f.Bytes != int64(len(text)) {
			t.Errorf("%+v, want %d bytes, %s", f, len(text), want)
		}
	}
	if !slices.Equal(names, []string{requestsFile, powerFile, logFile}) {
		t.Errorf("files %q", names)
	}
}

// A whole file of another trial, and one of which a byte is another one, have good ends.
func TestFilesOfOtherTrialsAreProblems(t *testing.T) {
	for name, change := range map[string]func(own, other []byte) []byte{
		"another trial's": func(_, other []byte) []byte { return other },
		"one byte": func(own, _ []byte) []byte {
			own[len(own)/2] ^= 1
			return own
		},
	} {
		for _, file := range []string{powerFile, requestsFile, logFile} {
			d, own, other := twoTrials(t)
			if _, _, problems := d.ReadTrials(); len(problems) > 0 {
				t.Fatal(problems)
			}
			if err := os.WriteFile(filepath.Join(own, file), change(read(t, own, file), read(t, other, file)), 0o644); err != nil {
				t.Fatal(err)
			}
			ok, _, problems := d.ReadTrials()
			if len(ok) != 2 || len(problems) != 1 || problems[0].Code != ProblemChanged || problems[0].Harmless() || problems[0].File != RunDir("own", 0)+"/"+file ||
				!strings.Contains(problems[0].Message, problems[0].File) {
				t.Errorf("%s, %s: %d trials, problems %+v", name, file, len(ok), problems)
			}
		}
	}
}

// No figure rests on a log: a directory without it is whole.
func TestAMissingLogIsHarmless(t *testing.T) {
	d, own, _ := twoTrials(t)
	if err := os.Remove(filepath.Join(own, logFile)); err != nil {
		t.Fatal(err)
	}
	if _, _, problems := d.ReadTrials(); len(problems) != 1 || problems[0].Code != ProblemNoFile || !problems[0].Harmless() {
		t.Errorf("problems %+v", problems)
	}
}

// Records of an older llem describe no files; what lies beside them is taken as it is.
func TestRecordsWithoutDescriptions(t *testing.T) {
	d, own, other := twoTrials(t)
	path := filepath.Join(own, trialFile)
	var record map[string]any
	decoder := json.NewDecoder(bytes.NewReader(read(t, path)))
	decoder.UseNumber()
	if err := decoder.Decode(&record); err != nil {
		t.Fatal(err)
	}
	delete(record, "files")
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, powerFile), read(t, other, powerFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(own, logFile)); err != nil {
		t.Fatal(err)
	}
	if ok, _, problems := d.ReadTrials(); len(ok) != 2 || len(problems) > 0 {
		t.Errorf("%d trials, problems %+v", len(ok), problems)
	}
}
