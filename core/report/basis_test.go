package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/stats"
)

// A row is the mean over all blocks of its cell, a ratio over those that both cells
// have. Where they differ the ratio's line, a warning with a code, and both files say so.
func TestRowsAndRatiosOfOtherBlocks(t *testing.T) {
	var list []result.Trial
	for block, d := range []float64{0.002, -0.001, 0.003, 0.001} {
		list = append(list, aTrial("A", block, 0.55+d), aTrial("C", block, 0.75+d))
		if block < 2 {
			list = append(list, aTrial("B", block, 0.35+d))
		}
	}
	s := Summarize(list, nil, Options{Order: []string{"A", "B", "C"}})
	comparisons, codes := map[string]stats.Comparison{}, map[string]bool{}
	for _, c := range s.Groups[0].Comparisons {
		comparisons[c.Candidate] = c
	}
	for _, c := range s.Cells {
		e, _ := c.Estimate(MetricEnergyPerToken)
		codes[c.Label] = e.Has(stats.CodeIncompleteBlocks)
		if want := map[string][]int{"A": {0, 1, 2, 3}, "B": {0, 1}, "C": {0, 1, 2, 3}}[c.Label]; !slices.Equal(c.Blocks, want) {
			t.Errorf("%s has blocks %v, want %v", c.Label, c.Blocks, want)
		}
	}
	if b, c := comparisons["B"], comparisons["C"]; !slices.Equal(b.Blocks, []int{0, 1}) || !slices.Equal(c.Blocks, []int{0, 1, 2, 3}) {
		t.Errorf("ratios of blocks %v and %v", b.Blocks, c.Blocks)
	}
	if !codes["A"] || codes["B"] || codes["C"] {
		t.Errorf("marked cells: %v, want A only", codes)
	}
	const says = "B / A is of blocks 1-2, which both have; the mean of A is of blocks 1-4"
	if w, ok := warning(s, stats.CodeIncompleteBlocks); !ok || w.Message != says || !slices.Equal(w.Cells, []string{"B"}) {
		t.Errorf("warnings: %+v", s.Warnings)
	}
	text := printed(t, s, TableOptions{})
	if !strings.Contains(text, "warning incomplete_blocks (in 1 of 3 cells: B): "+says) || strings.Count(text, "; of blocks 1-2 only, the rows hold others, too") != 1 {
		t.Errorf("table:\n%s", text)
	}
	var csv strings.Builder
	if err := CSV(&csv, s); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(csv.String()) {
		want := strings.HasPrefix(line, "quickstart,A,") && strings.Contains(line, ",,"+MetricEnergyPerToken+",")
		if got := strings.Contains(line, stats.CodeIncompleteBlocks); got != want {
			t.Errorf("marked %v, want %v: %s", got, want, line)
		}
	}
	// Blocks that all have leave nothing to say.
	if text := printed(t, Summarize(quickstart(), nil, Options{}), TableOptions{}); strings.Contains(text, "incomplete_blocks") || strings.Contains(text, "only, the rows") {
		t.Errorf("complete blocks:\n%s", text)
	}
}
