package study

import (
	"slices"
	"strings"
	"testing"
)

// What a hint says to write is accepted and makes the cells that were meant.
func TestHintsAboutModesMend(t *testing.T) {
	for _, test := range []struct {
		name, bad, hint, mended string
		want                    []LoadSpec // of all cells
	}{
		{
			"experiments alone",
			"[load]\nmode = \"closed\"\nconcurrency = 8\n[experiments.a]\n[experiments.b]\nload.mode = \"batch\"\n",
			"take it out of [load] and write `load.concurrency = 8` in each experiment that uses it",
			"[load]\nmode = \"closed\"\n[experiments.a]\nload.concurrency = 8\n[experiments.b]\nload.mode = \"batch\"\n",
			[]LoadSpec{{Mode: "closed", Concurrency: 8}, {Mode: "batch"}},
		},
		{
			"an experiment beside a sweep",
			"[load]\nmode = \"closed\"\nconcurrency = 8\n[sweep]\nworkload.seed = [1, 2]\n[experiments.b]\nload.mode = \"batch\"\n",
			"write `load.concurrency = [8]` under [sweep], which is not about experiments",
			"[load]\nmode = \"closed\"\n[sweep]\nworkload.seed = [1, 2]\nload.concurrency = [8]\n[experiments.b]\nload.mode = \"batch\"\n",
			[]LoadSpec{{Mode: "closed", Concurrency: 8}, {Mode: "closed", Concurrency: 8}, {Mode: "batch"}},
		},
		{
			"a key of an experiment's mode",
			"[load]\nconcurrency = 8\n[experiments.a]\nload.mode = \"closed\"\n[experiments.b]\n",
			"take it out of [load] and write `load.concurrency = 8` in each experiment that uses it",
			"[experiments.a]\nload.mode = \"closed\"\nload.concurrency = 8\n[experiments.b]\n",
			[]LoadSpec{{Mode: "closed", Concurrency: 8}, {Mode: "batch"}},
		},
		{
			"a swept mode",
			"[load]\nconcurrency = 8\n[sweep]\nload.mode = [\"batch\", \"closed\"]\n",
			"are an alternative, [sweep.groups.load.NAME]",
			"[sweep.groups.load.batch]\n[sweep.groups.load.closed]\nload.mode = \"closed\"\nload.concurrency = 8\n",
			[]LoadSpec{{Mode: "batch"}, {Mode: "closed", Concurrency: 8}},
		},
		{
			"an alternative's mode",
			"[load]\nmode = \"closed\"\nconcurrency = 8\n[sweep.groups.load.batch]\nload.mode = \"batch\"\n[sweep.groups.load.closed]\n",
			"are an alternative, [sweep.groups.load.NAME]",
			"[sweep.groups.load.batch]\n[sweep.groups.load.closed]\nload.mode = \"closed\"\nload.concurrency = 8\n",
			[]LoadSpec{{Mode: "batch"}, {Mode: "closed", Concurrency: 8}},
		},
		{
			"a swept key of an alternative's mode",
			"[sweep]\nload.concurrency = [8]\n[sweep.groups.load.batch]\n[sweep.groups.load.closed]\nload.mode = \"closed\"\n",
			"are an alternative, [sweep.groups.load.NAME]",
			"[sweep.groups.load.batch]\n[sweep.groups.load.closed]\nload.mode = \"closed\"\nload.concurrency = 8\n",
			[]LoadSpec{{Mode: "batch"}, {Mode: "closed", Concurrency: 8}},
		},
	} {
		_, err := Parse("x.toml", []byte(head+test.bad))
		if err == nil || len(asProblems(err)) != 1 || !strings.Contains(err.Error(), test.hint) {
			t.Errorf("%s: %v\nwant one problem with the hint %q", test.name, err, test.hint)
		}
		s, err := Parse("x.toml", []byte(head+test.mended))
		if err != nil {
			t.Errorf("%s: mended as the hint says: %v", test.name, err)
			continue
		}
		cells, err := Expand(s)
		var got []LoadSpec
		for _, c := range cells {
			got = append(got, c.Load)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v (%v)", test.name, got, test.want, err)
		}
	}
}
