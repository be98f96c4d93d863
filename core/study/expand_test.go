package study

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/llenergymeasure/llem/sdk"
	"pgregory.net/rapid"
)

func labels(cells []Cell) []string {
	var list []string
	for _, c := range cells {
		list = append(list, c.Instance+": "+c.Label)
	}
	return list
}

func TestExpandOrder(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"no sweep", head, []string{"ggml: ggml"}},
		{"last axis turns fastest", head + "[sweep]\nworkload.requests = [2, 1]\nbackends.ggml.b = [4, 8]\n", []string{
			"ggml: b=4 requests=2", "ggml: b=4 requests=1", "ggml: b=8 requests=2", "ggml: b=8 requests=1"}},
		{"axes of a backend are its own", head + "[backends.vllm]\n[sweep]\nbackends.ggml.b = [1, 2]\nbackends.vllm.d = [\"x\", \"y\"]\nbackend = [\"vllm\", \"ggml\", \"hf\"]\n", []string{
			"vllm: vllm d=x", "vllm: vllm d=y", "ggml: ggml b=1", "ggml: ggml b=2", "hf: hf"}},
		{"groups are crossed", head + "[sweep]\nworkload.requests = [1, 2]\n[sweep.groups.q.none]\n[sweep.groups.q.k8]\nbackends.ggml.cache = \"q8\"\nbackends.ggml.flash = true\n", []string{
			"ggml: requests=1 q=k8", "ggml: requests=1 q=none", "ggml: requests=2 q=k8", "ggml: requests=2 q=none"}},
		{"groups collapse for others", head + "[sweep]\nbackend = [\"ggml\", \"vllm\", \"hf\"]\n[backends.vllm]\n[sweep.groups.q.none]\n[sweep.groups.q.g]\nbackends.ggml.q = 8\n[sweep.groups.q.v]\nbackends.vllm.q = \"awq\"\n", []string{
			"ggml: ggml q=g", "ggml: ggml q=none", "vllm: vllm q=g", "vllm: vllm q=v", "hf: hf"}},
		{"experiments beside the sweep", head + "[sweep]\nworkload.requests = [1, 2]\n[experiments.b]\nworkload.requests = 3\n[experiments.a]\nbackend = \"hf\"\n", []string{
			"ggml: requests=1", "ggml: requests=2", "hf: a", "ggml: b"}},
		{"experiments alone", "name = \"n\"\n[experiments.a]\nbackend = \"hf\"\nmodel.id = \"x\"\n[experiments.b]\nbackend = \"hf\"\nmodel.path = \"y\"\n", []string{"hf: a", "hf: b"}},
		{"a swept model needs no other", "name = \"n\"\nbackend = \"ggml\"\n[sweep]\nmodel.id = [\"x\", \"y\"]\n", []string{"ggml: id=x", "ggml: id=y"}},
		{"mode and its keys move together", head + "[sweep.groups.load.batch]\n[sweep.groups.load.closed]\nload.mode = \"closed\"\nload.concurrency = 4\n", []string{
			"ggml: load=batch", "ggml: load=closed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, labels(expand(t, test.text))); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpandSettings(t *testing.T) {
	cells := expand(t, head+`
[backends.ggml]
a = 1
b = 1
[sweep.groups.g.x]
backends.ggml.b = 2
workload.requests = 3
[experiments.e]
load = { mode = "closed", concurrency = 7 }
backends.ggml.c = 5
`)
	if len(cells) != 2 {
		t.Fatalf("%d cells", len(cells))
	}
	group, experiment := cells[0], cells[1]
	if diff := cmp.Diff(map[string]any{"a": int64(1), "b": int64(2)}, group.Parameters); diff != "" {
		t.Error(diff)
	}
	if group.Workload.Requests != 3 || group.Experiment != "" {
		t.Errorf("%+v", group)
	}
	if diff := cmp.Diff([]Axis{{"groups.g", "x"}}, group.Axes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"a": int64(1), "b": int64(1), "c": int64(5)}, experiment.Parameters); diff != "" {
		t.Error(diff)
	}
	if experiment.Load != (LoadSpec{Mode: "closed", Concurrency: 7}) || experiment.Experiment != "e" || experiment.Workload.Requests != 64 {
		t.Errorf("%+v", experiment)
	}
}

// TestNestedSettings: a path sets the one key that it names, in an axis, a
// group and an experiment alike; a table written in braces is a value.
func TestNestedSettings(t *testing.T) {
	const base = head + "[backends.ggml]\nn.a = 1\nn.b.c = 2\n"
	whole := sdk.Table{"a": int64(1), "b": sdk.Table{"c": int64(2)}}
	inner := sdk.Table{"a": int64(1), "b": sdk.Table{"c": int64(2), "d": int64(5)}}
	for _, test := range []struct {
		text string
		want sdk.Table
	}{
		{"", whole},
		{"[sweep]\nbackends.ggml.n.b.d = [5]\n", inner},
		{"[sweep.groups.g.x]\nbackends.ggml.n.b.d = 5\n", inner},
		{"[sweep.groups.g.x.backends.ggml.n.b]\nd = 5\n", inner},
		{"[experiments.e]\nbackends.ggml.n.b.d = 5\n", inner},
		{"[experiments]\ne = { backends.ggml.n.b.d = 5 }\n", inner},
		{"[experiments.e]\nbackends = { ggml = { n.b.d = 5 } }\n", inner},
		{"[experiments.e]\nbackends.ggml.n = { b = { d = 5 } }\n", sdk.Table{"b": sdk.Table{"d": int64(5)}}},
		{"[experiments.e]\nbackends.ggml.n.b = {}\n", sdk.Table{"a": int64(1), "b": sdk.Table{}}},
		{"[sweep]\nbackends.ggml.n = [{ b = 1 }]\n", sdk.Table{"b": int64(1)}},
	} {
		cells := expand(t, base+test.text)
		if diff := cmp.Diff(any(test.want), cells[0].Parameters["n"]); diff != "" || len(cells) != 1 {
			t.Errorf("%s%d cells (-want +got):\n%s", test.text, len(cells), diff)
		}
	}
}

func TestTooManyAxes(t *testing.T) {
	sweep := func(n int) string {
		text := head + "[sweep]\n"
		for i := range n {
			text += fmt.Sprintf("backends.ggml.a%d = [1]\n", i)
		}
		return text
	}
	if cells := expand(t, sweep(mostAxes)); len(cells) != 1 || len(cells[0].Parameters) != mostAxes {
		t.Errorf("cells %v", labels(cells))
	}
	_, err := Parse("test.toml", []byte(sweep(mostAxes+1)))
	if want := "test.toml:5:2: sweep: it has 101 axes and groups, more than 100\n"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestTooManyCells(t *testing.T) {
	list := func(n int) string {
		var values []string
		for i := range n {
			values = append(values, fmt.Sprint(i+1))
		}
		return "[" + strings.Join(values, ", ") + "]"
	}
	s := parse(t, head)
	values := func(n int) []any {
		var all []any
		for i := range n {
			all = append(all, int64(i+1))
		}
		return all
	}
	s.Sweep.Axes = []AxisSpec{{"backends.ggml.a", values(400)}, {"backends.ggml.b", values(400)}}
	_, err := Expand(s)
	if want := "test.toml: sweep: it has more than 100000 cells; split the study\n1 problem, nothing was started."; err == nil || err.Error() != want {
		t.Errorf("Expand: %v", err)
	}
	for _, test := range []struct {
		experiments int
		axes        []AxisSpec
		want        bool
	}{
		{mostCells, nil, true}, // experiments alone: the study has no cell beside them
		{mostCells + 1, nil, false},
		{mostCells - 2, []AxisSpec{{"backends.ggml.a", values(2)}}, true},
		{mostCells - 1, []AxisSpec{{"backends.ggml.a", values(2)}}, false},
	} {
		s := parse(t, head)
		s.Experiments, s.Sweep.Axes = make([]Experiment, test.experiments), test.axes
		if got := s.countable(); got != test.want {
			t.Errorf("%d experiments, %d axes: countable = %v", test.experiments, len(test.axes), got)
		}
	}
	if cells := expand(t, head+"[sweep]\nworkload.requests = "+list(300)+"\n"); len(cells) != 300 {
		t.Errorf("%d cells", len(cells))
	}
}

// TestSameCells covers duplicates that no table of the file shows by itself.
func TestSameCells(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{head + "[experiments.a]\n[experiments.b]\n", `test.toml:6:14: experiments.b: "b" is the same as "a"`},
		{head + "[backends.ggml]\nb = 4\n[sweep.groups.g.none]\n[sweep.groups.g.four]\nbackends.ggml.b = 4\n", `test.toml:7:17: sweep.groups: "g=none" is the same as "g=four"`},
	} {
		_, err := Parse("test.toml", []byte(test.text))
		if err == nil || !strings.HasPrefix(err.Error(), test.want+"\n") {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	// Two instances of one plugin in two versions are two arms.
	cells := expand(t, "name = \"n\"\nmodel.id = \"m\"\n[sweep]\nbackend = [\"a\", \"b\"]\n[backends.a]\nplugin = \"vllm\"\nversion = \"1\"\n[backends.b]\nplugin = \"vllm\"\nversion = \"2\"\n")
	if len(cells) != 2 || cells[0].ID == cells[1].ID {
		t.Errorf("two versions give %v", labels(cells))
	}
}

func TestCellsStopsEarly(t *testing.T) {
	s := parse(t, head+"[sweep]\nworkload.requests = [1, 2, 3]\n[experiments.e]\n")
	for stop := 1; stop <= 4; stop++ {
		count := 0
		for _, err := range s.Cells() {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count == stop {
				break
			}
		}
		if count != stop {
			t.Errorf("%d cells before a stop at %d", count, stop)
		}
	}
}

// TestExpansionProperties checks random sweeps over random backends: the
// count is the sum over backends of the product of what concerns them, IDs
// are unique, and the order is the same each time.
func TestExpansionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backends := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_-]{0,5}`), 1, 3, rapid.ID).Draw(t, "backends")
		text := "name = \"n\"\nmodel.id = \"m\"\n"
		for _, b := range backends {
			text += "[backends." + b + "]\nbase = 1\n"
		}
		text += "[sweep]\nbackend = [\"" + strings.Join(backends, `", "`) + "\"]\n"
		counts := map[string]int{}
		shared := 1
		if n := rapid.IntRange(0, 3).Draw(t, "requests"); n > 0 {
			text += "workload.requests = " + fmt.Sprint([]string{"", "[1]", "[1, 2]", "[3, 2, 1]"}[n]) + "\n"
			shared = n
		}
		for _, b := range backends {
			counts[b] = shared
			for axis := range rapid.IntRange(0, 2).Draw(t, "axes") {
				n := rapid.IntRange(1, 4).Draw(t, "values")
				text += fmt.Sprintf("backends.%s.k%d = [\"a\", 2, [1, 2], true]\n", b, axis)
				text = strings.Replace(text, `["a", 2, [1, 2], true]`, []string{"", `["a"]`, `["a", 2]`, `["a", 2, [1, 2]]`, `["a",  2, [1, 2], true]`}[n], 1)
				counts[b] *= n
			}
		}
		// A group with a baseline and one alternative for some of the backends.
		concerned := rapid.SliceOfDistinct(rapid.SampledFrom(backends), rapid.ID).Draw(t, "group")
		if len(concerned) > 0 {
			text += "[sweep.groups.g.none]\n"
		}
		for i, b := range concerned {
			text += fmt.Sprintf("[sweep.groups.g.alt%d]\nbackends.%s.g = %d\n", i, b, i)
			counts[b] *= 2
		}
		experiments := rapid.IntRange(0, 2).Draw(t, "experiments")
		for i := range experiments {
			text += fmt.Sprintf("[experiments.e%d]\nbackend = %q\nworkload.seed = %d\n", i, backends[0], 1000+i)
		}
		s, err := Parse("test.toml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		cells, err := Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		want := experiments
		for _, n := range counts {
			want += n
		}
		if len(cells) != want {
			t.Fatalf("%d cells, want %d:\n%s\n%v", len(cells), want, text, labels(cells))
		}
		seen := map[string]bool{}
		for i, c := range cells {
			if seen[c.ID] {
				t.Fatalf("ID %s comes twice", c.ID)
			}
			seen[c.ID] = true
			for key := range c.Parameters {
				if key != "base" && !strings.Contains(text, "backends."+c.Instance+"."+key) {
					t.Fatalf("cell of %s has the key %s", c.Instance, key)
				}
			}
			if i >= len(cells)-experiments != (c.Experiment != "") {
				t.Fatalf("experiments are not last: %v", labels(cells))
			}
		}
		again, err := Expand(s)
		if err != nil || !slices.Equal(labels(cells), labels(again)) {
			t.Fatalf("another order: %v, %v", labels(cells), labels(again))
		}
	})
}
