package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
)

// Rules between groups name what differs, and only that.
func TestHeadingsOfGroups(t *testing.T) {
	of := func(cell, model, work string, output int64) []result.Trial {
		list := []result.Trial{aTrial(cell, 0, 0.5), aTrial(cell, 1, 0.51)}
		for i := range list {
			list[i].Load.Report.Model.Base, list[i].Work.Hash = model, work
			list[i].Windows[0].PromptTokens, list[i].Windows[0].OutputTokens = 128*windowRequests, output*windowRequests
		}
		return list
	}
	for _, c := range []struct {
		trials []result.Trial
		want   []string
	}{
		{of("a", "small", "w1", 64), nil},
		{slices.Concat(of("a", "small", "w1", 64), of("b", "small", "w2", 256)),
			[]string{"-- workload 128 input / 64 output tokens a request -", "-- workload 128 input / 256 output tokens a request -"}},
		{slices.Concat(of("a", "small", "first-work", 64), of("b", "small", "secondwork", 64)),
			[]string{"-- workload 128 input / 64 output tokens a request (first-wo) -", "(secondwo) -"}},
		{slices.Concat(of("a", "small", "w1", 64), of("b", "large", "w1", 64)), []string{"-- model large --", "-- model small --"}},
	} {
		text := printed(t, Summarize(c.trials, nil, Options{}), TableOptions{})
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if c.want == nil && strings.Contains(text, "-- ") {
			t.Errorf("one group has a heading:\n%s", text)
		}
	}
	// What an engine calls its model does not steer the terminal or widen it.
	long := slices.Concat(of("a", "small", "w1", 64), of("b", strings.Repeat("long ", 40)+"\x1b[2J", "w1", 64))
	for line := range strings.Lines(printed(t, Summarize(long, nil, Options{}), TableOptions{Terminal: true, Width: 80})) {
		if widest(line) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("line %q", line)
		}
	}
}

// Warnings say how many of the trials gave them, or of the cells.
func TestWarningsCountTrialsOrCells(t *testing.T) {
	list := quickstart()
	for i := range list[:5] {
		w := energy.Warning{Code: "not_warm", Severity: energy.SeverityWarning, Message: "not settled"}
		list[i].Warnings = append(list[i].Warnings, w)
		list[i].Windows[0].Warnings = append(list[i].Windows[0].Warnings, w, w)
	}
	list[0].Warnings = append(list[0].Warnings, energy.Warning{Code: "host_busy", Severity: energy.SeverityWarning, Message: "busy"})
	s := Summarize(append(list, aTrial("one", 0, 0.3)), nil, Options{})
	text := printed(t, s, TableOptions{})
	for _, want := range []string{
		"\nwarning not_warm (in 5 of 7 trials: f16, q8_0): not settled\n", "\nwarning host_busy (in 1 of 7 trials: f16): busy\n",
		"\nwarning single_cycle (in 1 of 3 cells: one): ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if w, _ := warning(s, "not_warm"); w.Trials != 5 || w.Count != 15 {
		t.Errorf("%+v", w)
	}
}

// What one load of each cell gave stands in the order of its J/token, and it is
// said that this ranks nothing.
func TestSingleLoadsAreSortedUnranked(t *testing.T) {
	s := Summarize([]result.Trial{aTrial("a", 0, 0.6), aTrial("b", 0, 0.4), aTrial("c", 0, 0.5)}, nil, Options{})
	if s.Cells[0].Label+s.Cells[1].Label+s.Cells[2].Label != "bca" {
		t.Errorf("%+v", s.Cells)
	}
	if text := printed(t, s, TableOptions{}); !strings.Contains(text, "so the order of rows is no ranking") {
		t.Errorf("table:\n%s", text)
	}
}
