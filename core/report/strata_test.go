package report

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// A key of the workload that varies is named where cells stand apart because of it: as
// a warning if one of them is left alone, else as a note.
func TestWorkThatVariesIsNamed(t *testing.T) {
	trial := func(id, work, definition string) result.Trial {
		one := aTrial(id, 0, 0.5)
		one.Work.Hash, one.Cell.Definition = work, definition
		return one
	}
	const eight, nine = `{"workload":{"requests":8,"seed":1}}`, `{"workload":{"requests":9,"seed":1}}`
	for name, c := range map[string]struct {
		trials []result.Trial
		want   energy.Severity
	}{
		"one each":        {[]result.Trial{trial("a", "x", eight), trial("b", "y", nine)}, energy.SeverityWarning},
		"one alone":       {[]result.Trial{trial("a", "x", eight), trial("c", "x", eight), trial("b", "y", nine)}, energy.SeverityWarning},
		"two each":        {[]result.Trial{trial("a", "x", eight), trial("c", "x", eight), trial("b", "y", nine), trial("d", "y", nine)}, energy.SeverityInfo},
		"the same":        {[]result.Trial{trial("a", "x", eight), trial("b", "x", eight)}, ""},
		"nobody knows":    {[]result.Trial{trial("a", "x", ""), trial("b", "y", "")}, ""},
		"the other's ids": {[]result.Trial{trial("a", "x", eight), trial("b", "y", eight)}, ""},
	} {
		var got energy.Severity
		for _, w := range Summarize(c.trials, nil, Options{}).Warnings {
			if w.Code == "work_varies" {
				if got = w.Severity; !strings.HasPrefix(w.Message, "workload.requests varies, and ") || !strings.Contains(w.Message, "they are in 2 groups") {
					t.Errorf("%s: %s", name, w.Message)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: severity %q, want %q", name, got, c.want)
		}
	}
}
