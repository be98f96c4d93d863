package openaiserver

import (
	"reflect"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

var fileTable = []Parameter{
	InFile("cache.share", sdk.Float("cache_share")), InFile("cache.type", sdk.Text("cache_type")), InFile("type", sdk.Text("type")),
	InFile("deep.er.on", sdk.Bool("on")), Flag("--share", sdk.Int("share")),
}

func TestConfiguration(t *testing.T) {
	got := Configuration(fileTable, sdk.Table{"cache_share": 0.5, "type": "a", "on": true, "share": int64(1)})
	want := sdk.Table{"cache": sdk.Table{"share": 0.5}, "type": "a", "deep": sdk.Table{"er": sdk.Table{"on": true}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	args, env, err := arguments(fileTable, sdk.Table{"cache_share": 0.5, "share": int64(1)})
	if err != nil || !reflect.DeepEqual(args, []string{"--share", "1"}) || env != nil {
		t.Errorf("%v, %v, error %v", args, env, err)
	}
}

// The line before an indented one has the name that the complaint is about.
func TestComplaintsAboutAFile(t *testing.T) {
	for want, lines := range map[string][]string{
		"cache_type":  {"1 validation error for Args", "cache.type", "  Input should be 'a'"},
		"type":        {"1 validation error for Args", "type", "  Input should be 'a'"},
		"cache_share": {"1 validation error for Cache", "share", "  Input should be less than 1"},
		"":            {"1 validation error for Args", "other", "  Extra inputs are not permitted"},
	} {
		line := withHead(lines, lines[2])
		if got := keyOf(fileTable, line); got != want {
			t.Errorf("%q is about %q, want %q", line, got, want)
		}
	}
	if got := withHead([]string{"a", "b"}, "b"); got != "b" {
		t.Errorf("%q", got)
	}
}
