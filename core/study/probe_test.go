package study

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProbes(t *testing.T) {
	const head = "name = \"p\"\nbackend = \"b\"\n[model]\nid = \"m\"\n"
	for name, c := range map[string]struct {
		text   string
		labels []string       // of all cells
		probe  map[string]int // label to index of its probe
	}{
		"not asked for": {text: "", labels: []string{"b"}},
		"one each": {
			text:   "[protocol]\nphase_probes = true\n[sweep]\nworkload.input_tokens = [8, 16]\n",
			labels: []string{"input_tokens=8", "input_tokens=16", "probe of input_tokens=8", "probe of input_tokens=16"},
			probe:  map[string]int{"input_tokens=8": 2, "input_tokens=16": 3},
		},
		"shared": {
			text:   "[protocol]\nphase_probes = true\n[sweep]\nworkload.output_tokens = [8, 16, 32]\n",
			labels: []string{"output_tokens=8", "output_tokens=16", "output_tokens=32", "probe of output_tokens=8 and 2 more"},
			probe:  map[string]int{"output_tokens=8": 3, "output_tokens=16": 3, "output_tokens=32": 3},
		},
		"there already": {
			text:   "[protocol]\nphase_probes = true\n[sweep]\nworkload.output_tokens = [8, 1]\n",
			labels: []string{"output_tokens=8", "output_tokens=1"},
			probe:  map[string]int{"output_tokens=8": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse("", []byte(head+c.text))
			if err != nil {
				t.Fatal(err)
			}
			cells, err := Expand(s)
			if err != nil {
				t.Fatal(err)
			}
			var labels []string
			ids := map[string]bool{}
			for _, cell := range cells {
				labels = append(labels, cell.Label)
				ids[cell.ID] = true
				want := ""
				if k, ok := c.probe[cell.Label]; ok {
					want = cells[k].ID
				}
				if cell.ProbeID != want {
					t.Errorf("%s has the probe %q, want %q", cell.Label, cell.ProbeID, want)
				}
				if probe := cell.Label[0] == 'p'; cell.Probe != probe || probe && cell.Workload.OutputTokens != 1 {
					t.Errorf("%s: probe %v, %d output tokens", cell.Label, cell.Probe, cell.Workload.OutputTokens)
				}
			}
			if diff := cmp.Diff(c.labels, labels); diff != "" || len(ids) != len(cells) {
				t.Errorf("%d ids, labels (-want +got):\n%s", len(ids), diff)
			}
		})
	}
}

// What has no probe at all is said, not left out.
func TestProbesOfNothing(t *testing.T) {
	const head = "name = \"p\"\nbackend = \"b\"\n[model]\nid = \"m\"\n"
	for name, text := range map[string]string{
		"natural lengths": "[workload]\nlengths = \"natural\"\n",
		"an open loop":    "[load]\nmode = \"poisson\"\nrate = 2\n",
		"one token":       "[workload]\noutput_tokens = 1\n",
	} {
		s, err := Parse("", []byte(head+text+"[protocol]\nphase_probes = true\n"))
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := Expand(s); err == nil || !strings.Contains(err.Error(), "protocol.phase_probes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
