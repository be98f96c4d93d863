package study

import (
	"math"
	"strings"
	"testing"
)

const pinned = `name = "pinned"
backend = "ggml"
model = { id = "m", weights = "dummy" }
workload.requests = 8
[backends.ggml]
batch_size = 4
scale = 1
[sweep]
backends.ggml.weight_type = ["f16", "q8_0"]
workload.output_tokens = [16, 32]
`

// TestCellIDs pins IDs: results of one version are found by the next.
func TestCellIDs(t *testing.T) {
	want := []string{"8077e97689e8", "282dba93e5ec", "36f554574633", "babacf7cc052"}
	cells := expand(t, pinned)
	if len(cells) != len(want) {
		t.Fatalf("%d cells", len(cells))
	}
	for i, c := range cells {
		if c.ID != want[i] {
			t.Errorf("%s has ID %s, want %s; its definition is\n%s", c.Label, c.ID, want[i], c.Definition)
		}
	}
}

// TestWhatCellIDsDependOn changes one thing at a time.
func TestWhatCellIDsDependOn(t *testing.T) {
	edit := func(pairs ...string) string {
		t.Helper()
		text := pinned
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("%q is not in the study", pairs[i])
			}
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		return text
	}
	protocol := func(line string) string { return edit("[backends.ggml]", "[protocol]\n"+line+"\n[backends.ggml]") }
	before := expand(t, pinned)
	for name, test := range map[string]struct {
		text string
		same bool
	}{
		"key order":         {edit("batch_size = 4\nscale = 1", "scale = 1\nbatch_size = 4"), true},
		"1.0 for 1":         {edit("scale = 1", "scale = 1.0"), true},
		"name":              {edit(`name = "pinned"`, `name = "other"`), true},
		"comment":           {edit("workload.requests = 8", "workload.requests = 8 # eight"), true},
		"default written":   {edit("workload.requests = 8", "workload.requests = 8\nload.mode = \"batch\""), true},
		"cycles":            {protocol("cycles = 9"), true},
		"order":             {protocol(`order = "grouped"`), true},
		"windows":           {protocol("windows = 3"), true},
		"profile spelled":   {protocol("idle_s = 10\nconditioning_s = 60\nwindow_s = 30"), true},
		"energy source":     {edit("workload.requests", "energy = [\"nvml\"]\nworkload.requests"), true},
		"time limit":        {edit("[backends", "[limits]\ntrial_timeout_s = 9\n[backends"), true},
		"name of instance":  {edit(`backend = "ggml"`, `backend = "mine"`, "[backends.ggml]", "[backends.mine]\nplugin = \"ggml\"", "backends.ggml.weight_type", "backends.mine.weight_type"), true},
		"parameter":         {edit("batch_size = 4", "batch_size = 5"), false},
		"new parameter":     {edit("batch_size = 4", "batch_size = 4\nthreads = 2"), false},
		"text for number":   {edit("batch_size = 4", `batch_size = "4"`), false},
		"requests":          {edit("workload.requests = 8", "workload.requests = 9"), false},
		"seed":              {edit("workload.requests = 8", "workload = { requests = 8, seed = 43 }", "workload.output_tokens", "workload.output_tokens"), false},
		"model":             {edit(`id = "m"`, `id = "n"`), false},
		"revision":          {edit(`id = "m"`, `id = "m", revision = "r"`), false},
		"weights":           {edit(`"dummy"`, `"auto"`), false},
		"load":              {edit("workload.requests", "load = { mode = \"closed\", concurrency = 2 }\nworkload.requests"), false},
		"plugin":            {edit(`backend = "ggml"`, `backend = "mine"`, "[backends.ggml]", "[backends.mine]\nplugin = \"other\"", "backends.ggml.weight_type", "backends.mine.weight_type"), false},
		"version of plugin": {edit("batch_size", "version = \"2\"\nbatch_size"), false},
		"profile":           {protocol(`profile = "quick"`), false},
		"idle_s":            {protocol("idle_s = 11"), false},
		"conditioning_s":    {protocol("conditioning_s = 61"), false},
		"window_s":          {protocol("window_s = 31"), false},
		"warmup":            {protocol(`warmup = "fast"`), false},
	} {
		after := expand(t, test.text)
		if len(after) != len(before) {
			t.Errorf("%s: %d cells", name, len(after))
			continue
		}
		for i := range after {
			if same := after[i].ID == before[i].ID; same != test.same {
				t.Errorf("%s: IDs of %s: same = %v, want %v\n%s", name, after[i].Label, same, test.same, after[i].Definition)
			}
		}
	}
}

// TestModelPathInIDs: the directory is this machine's, the file's name is not.
func TestModelPathInIDs(t *testing.T) {
	id := func(path string) string {
		return expand(t, "name = \"n\"\nbackend = \"ggml\"\nmodel.path = \""+path+"\"\n")[0].ID
	}
	if id("/a/m.gguf") != id("b/m.gguf") || id("m.gguf") == id("n.gguf") {
		t.Errorf("IDs %s %s %s %s", id("/a/m.gguf"), id("b/m.gguf"), id("m.gguf"), id("n.gguf"))
	}
}

func TestCanonicalText(t *testing.T) {
	for _, test := range []struct {
		a, b any
		same bool
	}{
		{int64(1), 1.0, true},
		{0.0, math.Copysign(0, -1), true},
		{int64(1e15), 1e15, true},
		{int64(1 << 60), int64(1<<60 + 1), false},
		{Workload{Seed: 1 << 60}, Workload{Seed: 1<<60 + 1}, false},
		{map[string]any{"x": Workload{Seed: 1 << 60}}, map[string]any{"x": Workload{Seed: 1<<60 + 1}}, false},
		{[]any{int64(1), 2.0}, []any{1.0, int64(2)}, true},
		{"1", int64(1), false},
		{true, "true", false},
		{0.1, 0.1000000000000001, false},
		{map[string]any{"a": []any{math.Copysign(0, -1)}}, map[string]any{"a": []any{int64(0)}}, true},
	} {
		if same := canonicalText(test.a) == canonicalText(test.b); same != test.same {
			t.Errorf("%v and %v: same = %v: %s, %s", test.a, test.b, same, canonicalText(test.a), canonicalText(test.b))
		}
	}
}
