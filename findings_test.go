package llem

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

// Where plugins were looked for is told once, whichever is missing.
func TestMissingPluginsAreExplainedOnce(t *testing.T) {
	const where = "\n  looked in  /a\n  installed  none"
	list := sorted(study.Problems{
		{Pos: study.Pos{Line: 9}, Message: `plugin "b" is not installed` + where},
		{Pos: study.Pos{Line: 3}, Message: `plugin "a" is not installed` + where},
		{Pos: study.Pos{Line: 12}, Message: "unknown key"},
	})
	text := list.Error()
	if strings.Count(text, "looked in") != 1 || !strings.Contains(text, `:3:0: plugin "a" is not installed`+"\n  looked in") ||
		!strings.Contains(text, `:9:0: plugin "b" is not installed (see above)`+"\n") {
		t.Errorf("it says\n%s", text)
	}
}

// A backend's finding is shown under its table, with the key if it has one.
func TestStudyKey(t *testing.T) {
	cell := &study.Cell{Instance: "served"}
	for path, want := range map[string]string{
		"dtype": "backends.served.dtype", "": "backends.served", "load.mode": "load.mode", "model.path": "model.path",
	} {
		if got := studyKey(cell, path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
