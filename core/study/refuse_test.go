package study

import (
	"slices"
	"strings"
	"testing"
)

// TestRefused covers mistakes of shape, with the first line of their message.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"backends = 3\n" + head, "1:1: backends: expected tables [backends.NAME], found the integer 3"},
		{head + "[backends]\nx = true", "6:1: backends.x: expected a table, found the boolean true"},
		{head + "[sources.x]\nplugin = 3", "6:1: sources.x.plugin: expected a string, found the integer 3"},
		{head + "[sources.x]\nversion = \"\"", "6:1: sources.x.version: expected a string, found the string \"\""},
		{"sweep = 1.5\n" + head, "1:1: sweep: expected a table, found the number 1.5"},
		{"experiments = []\n" + head, "1:1: experiments: expected tables [experiments.NAME], found a list"},
		{head + "[experiments]\nx = 1979-05-27T07:32:00Z", "6:1: experiments.x: expected a table, found a date or time (1979-05-27 07:32:00 +0000 UTC)"},
		{head + "[sweep]\ngroups = 1", "6:1: sweep.groups: expected tables [sweep.groups.GROUP.ALTERNATIVE], found the integer 1"},
		{head + "[sweep.groups.g]\nx = 1", "6:1: sweep.groups.g.x: expected a table, found the integer 1"},
		{head + "[sweep]\nbackends.ggml = [1]", "6:10: sweep.backends.ggml: expected backends.INSTANCE.KEY"},
		{head + "[sweep]\nbackends.ggml.plugin = [\"x\"]", "6:15: sweep.backends.ggml.plugin: expected backends.INSTANCE.KEY"},
		{head + "[sweep]\ngpu.power_limit_w = [200]", "6:5: sweep.gpu.power_limit_w: this version does not act on it"},
		{head + "[sweep]\nbackends.ggml.x = [nan]", "6:15: sweep.backends.ggml.x: NaN is no usable number"},
		{head + "[sweep]\nbackends.x.y = [1]", "6:12: sweep.backends.x.y: there is no [backends.x]"},
		{"energy = []\n" + head, "1:1: energy: the list is empty"},
		{"energy = [1]\n" + head, "1:1: energy: expected a list of strings, found the integer 1"},
		{"energy = \"auto\"\n" + head, "1:1: energy: expected a list of strings, found the string \"auto\"; write [\"auto\"]\n"},
		{head + "[workload]\nrequests = { a = 1 }", "6:1: workload.requests: expected an integer, found a table"},
		{head + "[sweep]\nmodel.id = \"m\"", "6:7: sweep.model.id: expected a list of values, found the string \"m\""},
		{head + "[workload]\nseed = 1.5", "6:1: workload.seed: expected an integer, found the number 1.5"},
		{head + "[workload]\nrequests = 8.0", "6:1: workload.requests: expected an integer, found the decimal number 8.0; write 8\n"},
		{head + "[sweep]\nworkload.seed = [1, -2.0]", "6:10: sweep.workload.seed: expected an integer, found the decimal number -2.0; write -2\n"},
		{head + "[workload]\nrequests = 1e300", "6:1: workload.requests: expected an integer, found the number 1e+300\n"},
		{head + "[protocol]\nidle_s = true", "6:1: protocol.idle_s: expected a number, found the boolean true"},
		{head + "[protocol]\nidle_s = 86401", "6:1: protocol.idle_s: 86401: expected at most 86400"},
		{head + "[workload.more]\nx = 1", "5:11: workload.more: unknown key"},
		{"name = \" \"\nbackend = \"b\"\nmodel.id = \"m\"", "1:1: name: it is empty"},
		{"name = \"n\"\nmodel.id = \"m\"\n[experiments.a]\n[experiments.b]\nbackend = \"x\"", "3:14: experiments.a: it names no backend and the study has none"},
		{"name = \"n\"\nbackend = \"b\"\n[experiments.a]\nmodel.id = \"\"", "4:7: experiments.a.model.id: id or path is missing"},
		{head + "[experiments.a]\nbackend = \"\"", "6:1: experiments.a.backend: a backend's name is empty"},
		{head + "[sweep]\nload.mode = [\"batch\", \"closed\"]", "6:6: load.concurrency: it is missing and mode \"closed\" needs it"},
	} {
		_, err := Parse("x.toml", []byte(test.text))
		if err == nil {
			t.Errorf("accepted:\n%s", test.text)
			continue
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		first = strings.TrimPrefix(strings.TrimPrefix(first, "x.toml:"), " ") + "\n"
		if !strings.HasPrefix(first, test.want) {
			t.Errorf("got\n%s\nwant the first line to begin with\n%s\nfor:\n%s", err, test.want, test.text)
		}
	}
}

// TestOneMistakeIsOneProblem: what follows from a mistake is not a second one.
func TestOneMistakeIsOneProblem(t *testing.T) {
	const top = "name = \"n\"\nbackend = \"ggml\"\n"
	for _, test := range []struct {
		text string
		want []string
	}{
		{top + "[modle]\nid = \"m\"", []string{"modle"}},
		{top + "[model]\nidd = \"m\"", []string{"model.idd"}},
		{top + "[model]\nid = 3", []string{"model.id"}},
		{head + "[workload]\nconcurrency = 8\n[load]\nmode = \"closed\"", []string{"workload.concurrency"}},
		{head + "[load]\nmode = \"closed\"\nconcurency = 8", []string{"load.concurency"}},
		{head + "[load]\nmode = \"closd\"\nconcurrency = 8", []string{"load.mode"}},
		{head + "[load]\nmode = \"closed\"\n[sweep]\nload.concurrency = [0]", []string{"sweep.load.concurrency"}},
		{head + "[workload]\ninput_tokens = 0\nshared_prefix_tokens = 600", []string{"workload.input_tokens"}},
		{"name = \"n\"\nmodel.id = \"m\"\n[sweep]\nbackends.x.a = [1]\n[backends.x]", []string{"backend"}},
		// Without their settings the two experiments are the same.
		{head + "[experiments.a]\nworkload.requets = 1\n[experiments.b]\nworkload.seeed = 1", []string{"experiments.a.workload.requets", "experiments.b.workload.seeed"}},
	} {
		_, err := Parse("x.toml", []byte(test.text))
		var keys []string
		if err != nil {
			for _, p := range asProblems(err) {
				keys = append(keys, p.Key)
			}
		}
		if !slices.Equal(keys, test.want) {
			t.Errorf("problems about %q, want %q, in\n%s\n%v", keys, test.want, test.text, err)
		}
	}
}
