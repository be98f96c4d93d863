package study

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/llenergymeasure/llem/sdk"
)

// parse reads a study that must be good.
func parse(t testing.TB, text string) *Study {
	t.Helper()
	s, err := Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, text)
	}
	return s
}

func expand(t testing.TB, text string) []Cell {
	t.Helper()
	cells, err := Expand(parse(t, text))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, text)
	}
	return cells
}

const head = "name = \"n\"\nbackend = \"ggml\"\n[model]\nid = \"m\"\n"

func TestExampleStudies(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example studies (%v)", err)
	}
	for _, file := range files {
		s, err := Load(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if cells, err := Expand(s); err != nil || len(cells) == 0 {
			t.Errorf("%s: %d cells, %v", file, len(cells), err)
		}
	}
}

// TestDefaults pins what a study is that says the least.
func TestDefaults(t *testing.T) {
	s := parse(t, head)
	want := &Study{
		Name: "n", Backend: "ggml", Energy: []string{"auto"}, Path: "test.toml", Text: []byte(head),
		Model:    Model{ID: "m", Weights: "auto"},
		Workload: Workload{Dataset: "synthetic", Requests: 64, InputTokens: 512, OutputTokens: 128, Seed: 42, Lengths: "exact"},
		Load:     LoadSpec{Mode: "batch"},
		Protocol: Protocol{Profile: "standard", Warmup: "full", IdleS: 10, ConditioningS: 60, WindowS: 30, Cycles: 5, Order: "randomised", Windows: 1, Regime: "hot"},
		Backends: map[string]Instance{}, Sources: map[string]Instance{},
	}
	s.source = source{}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(Study{}, source{})); diff != "" {
		t.Errorf("study (-want +got):\n%s", diff)
	}
}

// TestAllKeys reads each kind of value once.
func TestAllKeys(t *testing.T) {
	s := parse(t, `
name = "all"
backend = "fast"
energy = ["nvml", "meter"]
model = { id = "m", revision = "r", path = "x/y.gguf", weights = "dummy" }
load = { mode = "closed", concurrency = 4 }
[workload]
seed = -9007199254740993
shared_prefix_tokens = 8
sampling.temperature = 1
sampling.top_p = 0.5
sampling.top_k = 3
[protocol]
phase_probes = true
[limits]
trial_timeout_s = 1.5
max_failures = 2
[backends.fast]
plugin = "vllm"
version = ">=0.9"
dtype = "auto"
[sources.meter]
port = "/dev/ttyUSB0"
`)
	if diff := cmp.Diff(Model{"m", "r", "x/y.gguf", "dummy"}, s.Model); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(LoadSpec{Mode: "closed", Concurrency: 4}, s.Load); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Sampling{1, 0.5, 3}, s.Workload.Sampling); diff != "" {
		t.Error(diff)
	}
	if s.Workload.Seed != -9007199254740993 || s.Workload.SharedPrefixTokens != 8 {
		t.Errorf("workload %+v", s.Workload)
	}
	if diff := cmp.Diff(Limits{TrialTimeoutS: 1.5, MaxFailures: 2}, s.Limits); diff != "" {
		t.Error(diff)
	}
	if !s.Protocol.PhaseProbes {
		t.Error("no phase probes")
	}
	if diff := cmp.Diff(map[string]Instance{"fast": {"fast", "vllm", ">=0.9", map[string]any{"dtype": "auto"}, map[string]Pos{"plugin": {19, 1}, "version": {20, 1}, "dtype": {21, 1}}}}, s.Backends); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]Instance{"meter": {"meter", "meter", "", map[string]any{"port": "/dev/ttyUSB0"}, map[string]Pos{"port": {23, 1}}}}, s.Sources); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nvml", "meter"}, s.Energy); diff != "" {
		t.Error(diff)
	}
}

// TestParameterTypes checks that parameters come in the contract's types, at
// any depth, whether they were set in a table or swept.
func TestParameterTypes(t *testing.T) {
	cells := expand(t, head+`
[backends.ggml]
flag = true
n = 3
x = 3.0
text = "t"
lists = [[1, 2], ["a"], []]
mixed = [1, "a", 2.5, { k = [1] }]
[backends.ggml.nested]
keep = 1
deep.er = "x"
[sweep]
backends.ggml.nested.deep.swept = [1, 2]
backends.ggml.fresh.key = [[1, [2]]]
`)
	if len(cells) != 2 {
		t.Fatalf("%d cells", len(cells))
	}
	want := map[string]any{
		"flag": true, "n": int64(3), "x": 3.0, "text": "t",
		"lists":  []any{[]any{int64(1), int64(2)}, []any{"a"}, []any{}},
		"mixed":  []any{int64(1), "a", 2.5, sdk.Table{"k": []any{int64(1)}}},
		"nested": sdk.Table{"keep": int64(1), "deep": sdk.Table{"er": "x", "swept": int64(2)}},
		"fresh":  sdk.Table{"key": []any{int64(1), []any{int64(2)}}},
	}
	if diff := cmp.Diff(want, cells[1].Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if got := cells[0].Parameters["nested"].(sdk.Table)["deep"].(sdk.Table)["swept"]; got != int64(1) {
		t.Errorf("the first cell has %v: cells share a table", got)
	}
}

// TestParameterTablesGivenByHand covers a Study that a program makes.
func TestParameterTablesGivenByHand(t *testing.T) {
	s := parse(t, head+"[sweep]\nbackends.ggml.nested.swept = [1, 2]\n")
	for _, nested := range []any{sdk.Table{"keep": int64(1)}, map[string]any{"keep": int64(1)}} {
		s.Backends["ggml"] = Instance{Name: "ggml", Plugin: "ggml", Parameters: map[string]any{"nested": nested, "lists": []any{[]any{int64(1)}}}}
		cells, err := Expand(s)
		if err != nil || len(cells) != 2 {
			t.Fatalf("%d cells, %v", len(cells), err)
		}
		if diff := cmp.Diff(any(sdk.Table{"keep": int64(1), "swept": int64(2)}), cells[1].Parameters["nested"]); diff != "" {
			t.Errorf("given as %T (-want +got):\n%s", nested, diff)
		}
		if len(asMap(nested)) != 1 {
			t.Errorf("expansion changed the study: %v", nested)
		}
	}
}

// TestDepth refuses what could not be encoded later.
func TestDepth(t *testing.T) {
	lists := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tables := func(n int) string { return strings.Repeat(".a", n) }
	for _, test := range []struct{ text, want string }{
		{"[backends.ggml]\nx = " + lists(32), ""},
		{"[backends.ggml]\nx = " + lists(33), "test.toml:6:1: backends.ggml.x: it has lists or tables more than 32 deep\n"},
		{"[backends.ggml]\nx = " + lists(95), "test.toml:6:1: backends.ggml.x: it has lists or tables more than 32 deep\n"},
		{"[backends.ggml]\nx = " + lists(20000), "test.toml:6:103: it goes more than 100 tables or lists deep\n"},
		{"[backends.ggml]\nx" + tables(33) + " = 1", "test.toml:6:67: backends.ggml.x: it has lists or tables more than 32 deep\n"},
		{"[sweep]\nbackends.ggml" + tables(33) + " = [1]", ""},
		{"[sweep]\nbackends.ggml" + tables(34) + " = [1]", ": it has more than 32 parts\n"},
	} {
		_, err := Parse("test.toml", []byte(head+test.text))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.60q: got %.200v, want %q", test.text, err, test.want)
		}
	}
}

func TestProfiles(t *testing.T) {
	times := func(s *Study) [3]float64 {
		return [3]float64{s.Protocol.IdleS, s.Protocol.ConditioningS, s.Protocol.WindowS}
	}
	for _, test := range []struct {
		text string
		want [3]float64
	}{
		{"", [3]float64{10, 60, 30}},
		{`profile = "quick"`, [3]float64{1, 3, 5}},
		{`profile = "publication"`, [3]float64{30, 60, 60}},
		{"profile = \"quick\"\nwindow_s = 7", [3]float64{1, 3, 7}},
		{"idle_s = 0\nprofile = \"publication\"", [3]float64{0, 60, 60}},
		{"idle_s = 2\nconditioning_s = 0.5\nwindow_s = 4", [3]float64{2, 0.5, 4}},
	} {
		if got := times(parse(t, head+"[protocol]\n"+test.text)); got != test.want {
			t.Errorf("%q: idle, conditioning, window = %v, want %v", test.text, got, test.want)
		}
	}
	s := parse(t, head+"[protocol]\nidle_s = 2\n")
	if err := s.UseProfile("quick"); err != nil || times(s) != [3]float64{1, 3, 5} || s.Protocol.Profile != "quick" {
		t.Errorf("UseProfile(quick): %v, %+v", err, s.Protocol)
	}
	err := s.UseProfile("qick")
	if want := `--profile "qick": expected quick, standard or publication`; err == nil || err.Error() != want {
		t.Errorf("UseProfile(qick): %v, want %s", err, want)
	}
	if s.Protocol.Profile != "quick" {
		t.Errorf("a refused profile changed the study: %+v", s.Protocol)
	}
}

// TestProblemAt gives others' findings a place.
func TestProblemAt(t *testing.T) {
	s := parse(t, `name = "n"
backend = "ggml"
model.id = "m"
[backends.ggml]
a = 1
[sweep]
backends.ggml.b = [1, 2]
[experiments.e]
backends.ggml.b = 3
backends.ggml.c = 1
`)
	for _, test := range []struct{ key, want string }{
		{"backends.ggml.a", "test.toml:5:1: backends.ggml.a: bad\n  5 | a = 1\n    | ^ mend it"},
		{"backends.ggml.b", "test.toml:7:15: sweep.backends.ggml.b: bad\n  7 | backends.ggml.b = [1, 2]\n    |               ^ mend it"},
		{"backends.ggml.c", "test.toml:10:15: experiments.e.backends.ggml.c: bad\n  10 | backends.ggml.c = 1\n     |               ^ mend it"},
		{"backends.ggml.z", "test.toml:4:11: backends.ggml.z: bad\n  4 | [backends.ggml]\n    |           ^ mend it"},
		{"protocol.idle_s", "test.toml: protocol.idle_s: bad; mend it"},
	} {
		if got := s.ProblemAt(test.key, "bad", "mend it").Error(); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
	if got := (&Study{}).ProblemAt("name", "bad", "").Error(); got != "study: name: bad" {
		t.Errorf("without a file: %s", got)
	}
}

// TestProblemIn shows a value of one cell where that cell has it from.
func TestProblemIn(t *testing.T) {
	s := parse(t, `name = "n"
backend = "ggml"
model.id = "m"
[backends.ggml]
a = 1
b = 0
n = { k = 1 }
[sweep]
backends.ggml.b = [1, 2]
[sweep.groups.g.none]
[sweep.groups.g.x]
backends.ggml.a = 5
backends.ggml.n = { k = 2 }
[experiments.e]
backends.ggml.b = 3
`)
	cells, err := Expand(s)
	if err != nil {
		t.Fatal(err)
	}
	byLabel := map[string]*Cell{}
	for i := range cells {
		byLabel[cells[i].Label] = &cells[i]
	}
	for _, test := range []struct{ label, key, want string }{
		{"b=1 g=none", "backends.ggml.a", "test.toml:5:1: backends.ggml.a"},
		{"b=1 g=none", "backends.ggml.b", "test.toml:9:15: sweep.backends.ggml.b"},
		{"b=2 g=x", "backends.ggml.a", "test.toml:12:15: sweep.groups.g.x.backends.ggml.a"},
		{"b=2 g=none", "backends.ggml.n.k", "test.toml:7:7: backends.ggml.n.k"},
		{"b=2 g=x", "backends.ggml.n.k", "test.toml:13:21: sweep.groups.g.x.backends.ggml.n.k"},
		{"b=2 g=x", "backends.ggml.n.z", "test.toml:13:15: sweep.groups.g.x.backends.ggml.n"},
		{"e", "backends.ggml.a", "test.toml:5:1: backends.ggml.a"},
		{"e", "backends.ggml.b", "test.toml:15:15: experiments.e.backends.ggml.b"},
		{"e", "backends.ggml.z", "test.toml:4:11: backends.ggml.z"},
	} {
		got, _, _ := strings.Cut(s.ProblemIn(byLabel[test.label], test.key, "bad", "").Error(), ": bad")
		if got != test.want {
			t.Errorf("%s of %s: %s, want %s", test.key, test.label, got, test.want)
		}
	}
}

// TestManyProblems bounds what a wrong file prints.
func TestManyProblems(t *testing.T) {
	text := head
	for i := range 60 {
		text += fmt.Sprintf("strange%d = 1\n", i)
	}
	_, err := Parse("test.toml", []byte(text))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 60 {
		t.Fatalf("%v", err)
	}
	if want := "\n... and 10 more\n60 problems, nothing was started."; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got\n%s\nwant the end %s", err, want)
	}
}

// TestExcerpt keeps the caret under its character in a line that was cut.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("é", 500) + "X" + strings.Repeat("z", 500)
	for _, line := range []string{long, strings.Repeat("a", 1000) + "X", "X" + strings.Repeat("a", 1000), "  X"} {
		column := strings.IndexByte(line, 'X') + 1
		text, at := excerpt(line, column)
		if text[at-1] != 'X' || len(text) > 170 || !utf8.ValidString(text) {
			t.Errorf("column %d of %.20s... became %d of %q", column, line, at, text)
		}
	}
}

// TestHostileTexts: texts that would take the TOML parser gigabytes are
// refused before it sees them.
func TestHostileTexts(t *testing.T) {
	const n = 100_000
	for name, text := range map[string]string{
		"dots":        "a" + strings.Repeat(".a", n) + " = 1",
		"table":       "[a" + strings.Repeat(".a", n) + "]",
		"lists":       "a = " + strings.Repeat("[", n),
		"braces":      "a = " + strings.Repeat("{a=", n) + "1" + strings.Repeat("}", n),
		"long names":  strings.Repeat("["+strings.Repeat("a", 2*n)+"]\n", 2),
		"many tables": "[" + strings.Repeat("a.", 60) + "b]\nc" + strings.Repeat(".c", 60) + " = 1",
	} {
		_, err := Parse("test.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), "more than 100") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestParseWithoutPath(t *testing.T) {
	_, err := Parse("", []byte("name = 1"))
	var problems Problems
	if !errors.As(err, &problems) || problems[0].File != "study" {
		t.Errorf("%v", err)
	}
}

// FuzzParse checks that no text makes reading panic, and that a good study
// reads again to the same study and cells.
func FuzzParse(f *testing.F) {
	f.Add(string(example))
	f.Add(plain)
	f.Add(head + "[sweep]\nbackend = [\"a\", \"b\"]\n[sweep.groups.g.x]\n[sweep.groups.g.y]\nbackends.a.k = 1\n[backends.a]\n[experiments.e]\nbackend = \"c\"\n")
	files, _ := filepath.Glob("testdata/bad/*.toml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("fuzz.toml", []byte(text))
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 || err.Error() == "" {
				t.Fatalf("%v is no Problems", err)
			}
			return
		}
		cells, err := Expand(s)
		if err != nil || len(cells) == 0 {
			t.Fatalf("a checked study has %d cells, %v", len(cells), err)
		}
		again, err := Parse("fuzz.toml", s.Text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, again, cmp.AllowUnexported(Study{}, source{})); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(cells, expand(t, string(s.Text))); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}
