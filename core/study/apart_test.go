package study

import (
	"slices"
	"strings"
	"testing"
)

// Only what varies and makes the work another one is named, be it in the sweep, a group
// or an experiment.
func TestKeysThatMakeWorkDiffer(t *testing.T) {
	const head = "name = \"x\"\nbackend = \"sim\"\nenergy = [\"sim\"]\n[model]\nid = \"m\"\n"
	for name, c := range map[string]struct {
		text  string
		kinds int
		want  string
	}{
		"a parameter":   {"[sweep]\nbackends.sim.batch_size = [1, 2]\n", 1, ""},
		"requests":      {"[sweep]\nworkload.requests = [8, 16, 32]\nbackends.sim.batch_size = [1, 2]\n", 3, "workload.requests"},
		"a nested key":  {"[sweep]\nworkload.sampling.temperature = [0.0, 0.5]\n", 2, "workload.sampling.temperature"},
		"a group":       {"[sweep.groups.g.a]\n[sweep.groups.g.b]\nworkload.input_tokens = 7\nworkload.seed = 3\n", 2, "workload.input_tokens workload.seed"},
		"an experiment": {"[sweep]\nbackends.sim.batch_size = [1, 2]\n[experiments.long]\nworkload.output_tokens = 99\n", 2, "workload.output_tokens"},
		"with probes":   {"[protocol]\nphase_probes = true\n[sweep]\nbackends.sim.batch_size = [1, 2]\n", 1, ""},
	} {
		s, err := Parse("", []byte(head+c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cells, err := Expand(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if kinds, keys := Works(cells); kinds != c.kinds || strings.Join(keys, " ") != c.want {
			t.Errorf("%s: %d kinds of work by %v", name, kinds, keys)
		}
	}
	if keys := WorkKeys([]string{"", "no JSON", "{}"}); !slices.Equal(keys, nil) {
		t.Errorf("without definitions: %v", keys)
	}
}
