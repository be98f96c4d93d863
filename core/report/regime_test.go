package report

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
)

// The regime stands in the table, in the CSV and in the data; a failed trial has
// one, too, and cells of two regimes are told apart.
func TestRegimeIsShown(t *testing.T) {
	cold := func(trials ...result.Trial) []result.Trial {
		for i := range trials {
			trials[i].Regime = result.RegimeCooldown
		}
		return trials
	}
	lines := func(s Summary) (found []string) {
		var b strings.Builder
		if err := Table(&b, s, TableOptions{}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "regime") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		return found
	}
	s := Summarize(cold(aTrial("a", 0, 0.5), aTrial("a", 1, 0.51)), cold(failedRun("b", 0)), Options{})
	if got := lines(s); len(got) != 1 || !strings.HasPrefix(got[0], "regime: cooldown (") {
		t.Errorf("%q", got)
	}
	for _, c := range s.Cells {
		if c.Regime != result.RegimeCooldown {
			t.Errorf("%s is %q", c.Label, c.Regime)
		}
	}
	var csv strings.Builder
	if err := CSV(&csv, s); err != nil {
		t.Fatal(err)
	}
	if text := csv.String(); !strings.Contains(text, "\nquickstart,a,a,cooldown,") || strings.Contains(text, ",hot,") {
		t.Error(text)
	}
	s = Summarize(append(cold(aTrial("a", 0, 0.5)), aTrial("b", 0, 0.5)), nil, Options{})
	if got := lines(s); len(got) != 2 || !strings.HasPrefix(got[0], "regime of a: cooldown (") || !strings.HasPrefix(got[1], "regime of b: hot (") {
		t.Errorf("%q", got)
	}
}

// Trials of a cell in two regimes are two rows, and never compared.
func TestRegimesAreNotMixed(t *testing.T) {
	var trials []result.Trial
	for block, d := range []float64{0, 0.01, 0.02} {
		hot, cold := aTrial("a", block, 0.5+d), aTrial("a", block, 0.4+d)
		cold.Regime = result.RegimeCooldown
		trials = append(trials, hot, cold)
	}
	s := Summarize(trials, nil, Options{})
	if len(s.Cells) != 2 || s.Cells[0].Trials != 3 || s.Cells[1].Trials != 3 || len(s.Groups) != 2 {
		t.Fatalf("%d cells in %d groups", len(s.Cells), len(s.Groups))
	}
	for _, g := range s.Groups {
		if len(g.Comparisons) > 0 {
			t.Errorf("%+v", g.Comparisons)
		}
	}
}
