package result

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What this process could not store is not called lost or running: it knows why,
// though the disk has no room to say it. Others learn it where a line fits.
func TestAnAttemptThatCouldNotBeStored(t *testing.T) {
	for _, room := range []bool{true, false} {
		d := testDir(t)
		a, err := d.Begin("c0ffee", 0)
		if err != nil {
			t.Fatal(err)
		}
		block(t, filepath.Join(a.Path(), trialFile))
		if !room {
			block(t, filepath.Join(a.Path(), reasonFile))
		}
		err = a.Fail(Trial{Status: StatusFailed, Cell: Cell{ID: "c0ffee"}, Failure: &Failure{Phase: "run"}})
		if err == nil || strings.Count(err.Error(), trialFile) != 1 {
			t.Fatalf("the error is %v", err)
		}
		if err := os.Remove(filepath.Join(a.Path(), trialFile)); err != nil {
			t.Fatal(err)
		}
		want := "was not finished: its record could not be stored: " + err.Error()
		if _, _, problems := d.ReadTrials(); len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("this process says %v", problems)
		}
		if _, _, problems := ReadTrials(d.Path()); len(problems) != 1 || room != strings.Contains(problems[0].Error(), want) {
			t.Errorf("another one says %v, with room %v", problems, room)
		}
	}
}

// block puts a directory where a file should be.
func block(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
