package study

import (
	"strings"
	"testing"
)

func TestBaselineID(t *testing.T) {
	const text = `name = "n"
backend = "ggml"
[model]
id = "m"
[protocol]
phase_probes = true
[sweep]
backends.ggml.weight_type = ["f16", "q8_0"]
[experiments.long]
workload.output_tokens = 512
[backends.ggml]
[compare]
baseline = "%"
`
	parse := func(name string) (*Study, []Cell) {
		s, err := Parse("x.toml", []byte(strings.Replace(text, "%", name, 1)))
		if err != nil {
			t.Fatal(err)
		}
		cells, err := Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		return s, cells
	}
	_, cells := parse("")
	probe := ""
	for _, c := range cells {
		if c.Probe {
			probe = c.ID
		}
	}
	for name, want := range map[string]string{"": "", "weight_type=q8_0": cells[1].ID, "long": cells[2].ID, cells[0].ID: cells[0].ID} {
		s, cells := parse(name)
		if id, problem := s.BaselineID(cells); problem != nil || id != want {
			t.Errorf("%q: %q, %v; want %q", name, id, problem, want)
		}
	}
	for name, want := range map[string]string{
		"weight_type=q8": `compare.baseline: "weight_type=q8" is no cell of this study` + "\n" + `  13 | baseline = "weight_type=q8"` + "\n" + `     | ^ did you mean "weight_type=q8_0"?`,
		"zzz":            `^ its cells: weight_type=f16, weight_type=q8_0, long`,
		probe:            "is no cell of this study",
	} {
		s, cells := parse(name)
		if id, problem := s.BaselineID(cells); problem == nil || id != "" || !strings.Contains(problem.Error(), want) {
			t.Errorf("%q: %q, %v; want\n%s", name, id, problem, want)
		}
	}
	s, _ := parse("same")
	twice := []Cell{{ID: "1", Label: "same"}, {ID: "2", Label: "same"}}
	if _, problem := s.BaselineID(twice); problem == nil || !strings.Contains(problem.Error(), "is the label of 2 cells") || !strings.Contains(problem.Error(), "name one by its id: 1, 2") {
		t.Errorf("%v", problem)
	}
}
