package gate

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
)

var update = flag.Bool("update", false, "rewrite docs/gates.md")

// docs/gates.md is the table in words: go test ./core/gate -update
func TestDocs(t *testing.T) {
	const path = "../../docs/gates.md"
	want := page()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v): go test ./core/gate -update", path, err)
	}
}

const intro = `# Gates

<!-- Made from core/gate by its test: go test ./core/gate -update -->

A gate looks at a trial and says whether its number may be believed. A **fatal**
finding keeps the trial, stores it, and takes it out of every estimate and
ranking; a **warning** puts a mark beside the number; an **info** changes nothing.
Findings are ` + "`warnings`" + ` of the trial, with the figures in words.

` + "`gates`" + ` in trial.json says what became of each gate: ` + "`passed`, `found`, `unknown`" + `
with the reason, or ` + "`not_applicable`" + ` (gates on GPUs in a cell on CPU). A gate without
its input is unknown; it never passes. One that found something on a GPU and could not
look at another stands in ` + "`found` and `unknown`" + `. Static gates need no trial: ` + "`llem config\ndoctor`" + ` runs them and prints what to type.

State of GPUs is read by ` + "`nvml`" + `: all of it before Load and after the Run, and
temperature, clocks, limit and utilisation once a second during the Run, off the
critical path. It is kept in ` + "`devices`" + ` of trial.json.
`

const audit = `
## The audit: what it proves, and what it cannot

Where a GPU has two readings of its energy, such as the driver's ring of power
samples and its energy counter, each trial compares them over the Run and over
each window. The ratio stands in ` + "`audit`" + ` of trial.json with the spans and methods. It
is never applied as a correction.

- It proves the **sampling**: that no samples were lost, repeated or placed at the
  wrong time, that the reading covers all time and not a share of it, and that
  both mean the same scope. On an H100 the two agree within 0.2 % over 10 s.
- It says nothing of the **gain**: both readings sit behind one sensor. If that
  reads 5 % too low, so do both, and the ratio is 1. Only a meter outside the
  card shows it; the ±5 % beside a result is the bound for that.
- It says nothing of what neither sees: fans, power supplies, switches, CPUs.

The counter is read in bursts at the Run's ends and every 10 s between. Where its
edges leave 2 % or more of a window open, the window's audit spans the changes of
the counter around it instead: ` + "`from_ns`" + ` and ` + "`to_ns`" + ` are that span, both readings are
taken over it, and a disagreement inside the window is thinned by what lies beside.
If ` + "`random_rel`" + ` is still 2 % or more the audit is ` + "`too_blunt`" + ` and the gate unknown for it.
By the same design its own joules over single windows are rough. No other figure rests
on them, so a summary says that once, as the note ` + "`sparse_check`" + `, and not by window.
`

func page() string {
	var b strings.Builder
	b.WriteString(intro)
	for _, part := range []struct {
		scope Scope
		title string
	}{
		{Static, "Static: how a device is set"}, {Trial, "Trial: from before Load to the end of the Run"},
		{Window, "Window: the measured span"}, {Cell, "Cell: over the loads, in the summary"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| Code | Severity | Speaks when | Needs | What to do |\n|---|---|---|---|---|\n", part.title)
		for _, g := range Table() {
			if g.Scope == part.scope {
				advice := strings.NewReplacer("{gpu}", "GPU", "{default_w}", "DEFAULT", "|", `\|`).Replace(g.Advice)
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", g.Code, severities(g.Severities), g.Threshold, g.Needs, advice)
			}
		}
	}
	b.WriteString(audit)
	for _, part := range []struct {
		title string
		list  []Plain
	}{{"Other warnings", Notes()}, {"Why there is no number", Reasons()}} {
		fmt.Fprintf(&b, "\n## %s\n\n| Code | Meaning |\n|---|---|\n", part.title)
		for _, p := range part.list {
			fmt.Fprintf(&b, "| `%s` | %s |\n", p.Code, p.Meaning)
		}
	}
	return b.String()
}

func severities(list []energy.Severity) string {
	var words []string
	for _, s := range list {
		words = append(words, string(s))
	}
	return strings.Join(words, ", ")
}
