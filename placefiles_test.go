package llem

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

// Only what a schema calls a path is moved, and the study's table stays as it is.
func TestPathsOfATableAreMadeAbsolute(t *testing.T) {
	schema := []sdk.Parameter{
		sdk.Path("file"), sdk.Path("empty"), sdk.Path("absolute"), sdk.Text("text"), sdk.Nested("inner", sdk.Path("file"), sdk.Int("n")), sdk.Free("free"),
	}
	table := func(prefix string) map[string]any {
		return map[string]any{
			"file": prefix + "a/b.csv", "empty": "", "absolute": "/x", "text": "a/b.csv",
			"inner": sdk.Table{"file": prefix + "c", "n": int64(1)}, "free": sdk.Table{"file": "d"},
		}
	}
	given := table("")
	if diff := cmp.Diff(table("/studies/"), placePaths("/studies", schema, given)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(table(""), given); diff != "" {
		t.Errorf("the study's own table changed:\n%s", diff)
	}
}
