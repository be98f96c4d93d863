package study

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestBadStudies pins the message for every kind of mistake: each
// testdata/bad/NAME.toml is refused with exactly NAME.golden.
func TestBadStudies(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no studies in testdata/bad (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			s, err := Load(file)
			if err == nil {
				t.Fatalf("%s was accepted", file)
			}
			if s != nil {
				t.Errorf("a study came with the error")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".toml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("message of %s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// TestBadStudiesAreStable reads each file often: no message may depend on the
// order of a map.
func TestBadStudiesAreStable(t *testing.T) {
	files, _ := filepath.Glob("testdata/bad/*.toml")
	for _, file := range files {
		_, first := Load(file)
		for range 10 {
			if _, again := Load(file); again == nil || again.Error() != first.Error() {
				t.Fatalf("%s: %v, then %v", file, first, again)
			}
		}
	}
}

// TestBadStudiesPlace checks what all messages have in common.
func TestBadStudiesPlace(t *testing.T) {
	// Nothing in these files is a place of what is missing.
	unplaced := map[string]bool{"missing_name": true, "missing_backend": true, "missing_model": true}
	files, _ := filepath.Glob("testdata/bad/*.toml")
	for _, file := range files {
		_, err := Load(file)
		problems := asProblems(err)
		if len(problems) == 0 {
			t.Errorf("%s: %v is no Problems", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		for i, p := range problems {
			if p.File != file {
				t.Errorf("%s: file %q", file, p.File)
			}
			if (p.Pos == Pos{}) != unplaced[name] {
				t.Errorf("%s: place %v", file, p.Pos)
			}
			if i > 0 && problems[i-1].Pos.Line > p.Pos.Line {
				t.Errorf("%s: problems are not sorted by line", file)
			}
		}
	}
}
