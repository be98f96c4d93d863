package result

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadTrialsIsTolerant(t *testing.T) {
	d, traces := testDir(t), sampleTraces(t)
	trial := sampleTrial(t, traces)
	for i, block := range []int{1, 0, 2} {
		trial.Block, trial.Position = block, i
		if err := publish(d, trial, traces); err != nil {
			t.Fatal(err)
		}
	}
	a, err := d.Begin("c0ffee", 3)
	if err != nil {
		t.Fatal(err)
	}
	bad := trial
	bad.Block, bad.Status, bad.Failure = 3, StatusFailed, &Failure{Phase: "run", Code: "engine_crashed", Message: "gone", StderrTail: []string{"last"}}
	if err := a.Fail(bad); err != nil {
		t.Fatal(err)
	}
	if a, err = d.Begin("c0ffee", 4); err != nil {
		t.Fatal(err)
	}
	if err := a.Abandon("interrupted"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Begin("c0ffee", 5); err != nil { // never ended
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(d.Path(), "runs/c0ffee-b0/trial.json"))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []byte { return []byte(strings.Replace(string(record), old, new, 1)) }
	for name, text := range map[string][]byte{
		"broken-b0":  record[:len(record)/2],
		"empty-b0":   nil,
		"newer-b0":   edit(`"schema_version": 1`, `"schema_version": 7`),
		"copied-b0":  record,
		"failing-b0": edit(`"status": "ok"`, `"status": "failed"`),
	} {
		dir := filepath.Join(d.Path(), "runs", name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "trial.json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"runs/void-b0", "runs/.hidden"} {
		if err := os.Mkdir(filepath.Join(d.Path(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ok, failed, problems := ReadTrials(d.Path())
	var blocks []int
	for _, x := range ok {
		blocks = append(blocks, x.Block)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, blocks); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if len(failed) != 1 || failed[0].Failure.StderrTail[0] != "last" || !strings.HasPrefix(failed[0].Dir, "attempts/c0ffee-b3-") {
		t.Errorf("failed: %+v", failed)
	}
	for _, want := range []string{
		"broken-b0/trial.json: it is no trial record", "empty-b0/trial.json: it is no trial record",
		"newer-b0/trial.json: schema_version 7 is newer than 1", "copied-b0/trial.json: it is a trial of cell c0ffee, block 0, under another name",
		`failing-b0/trial.json: its status is "failed"`, "void-b0/trial.json: no such file",
		"was not finished: interrupted", "was not finished: it is running, or its process was lost",
	} {
		n := 0
		for _, p := range problems {
			if strings.Contains(p.Error(), want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d problems say %q", n, want)
		}
	}
	if len(problems) != 8 {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
	if _, _, problems := ReadTrials(t.TempDir()); len(problems) != 1 || !strings.Contains(problems[0].Error(), "no result directory") {
		t.Errorf("an empty directory: %v", problems)
	}
}
