package llem

import (
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

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
