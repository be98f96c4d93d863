package docs_test

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/study"
)

const vllmPage = "docs/backends/vllm.md"

// reported is the summary of a directory that the page shows.
func reported(t *testing.T, name string) report.Summary {
	t.Helper()
	r, err := llem.Report(filepath.Join(root, "examples/results", name), study.UserConfig{}, llem.FactorsStored)
	if err != nil {
		t.Fatal(err)
	}
	return r.Summary
}

var figure = regexp.MustCompile(`\d+(?:\.(\d+))?`)

// agree holds the figures of a table's cell against values, in the figures' own digits.
func agree(t *testing.T, what, text string, values ...float64) {
	t.Helper()
	found := figure.FindAllStringSubmatch(text, -1)
	if len(found) != len(values) {
		t.Errorf("%s: %q has %d figures, want %d", what, text, len(found), len(values))
		return
	}
	for i, f := range found {
		shown, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		if half := math.Pow(10, -float64(len(f[1]))) / 2; math.Abs(shown-values[i]) > half*(1+1e-9) {
			t.Errorf("%s: the page has %s of %q, and it is %g", what, f[0], text, values[i])
		}
	}
}

// Who makes the report of the stored directories again finds the page's figures: those of
// each concurrency, and the spread of both cells of a directory together.
func TestTheVLLMPageHasTheFiguresOfTheReport(t *testing.T) {
	page := read(t, vllmPage)
	cells := map[string]report.Cell{}
	spreads := rows(page, "directory")
	if len(spreads) != 2 {
		t.Fatalf("%s has %d rows of spread", vllmPage, len(spreads))
	}
	for _, row := range spreads {
		s := reported(t, row[0])
		for _, c := range s.Cells {
			cells[strings.TrimPrefix(c.Label, "concurrency=")] = c
		}
		c, spread := s.Variances[0].Components, s.Variances[0].Spread
		agree(t, row[0]+", windows", row[1], 100*c.WithinRel, 100*c.WithinLoRel, 100*c.WithinHiRel)
		agree(t, row[0]+", loads", row[2], 100*spread.LoadRel, 100*spread.LoadLoRel, 100*spread.LoadHiRel)
		agree(t, row[0]+", blocks", row[3], 100*spread.BlockRel, 100*spread.BlockLoRel, 100*spread.BlockHiRel)
	}
	if table := rows(page, "in flight"); len(table) != len(cells) {
		t.Fatalf("%d rows for %d cells", len(table), len(cells))
	}
	for _, row := range rows(page, "in flight") {
		cell := cells[row[0]]
		for i, metric := range []string{report.MetricEnergyPerToken, report.MetricTokensPerS, report.MetricTTFT, report.MetricTPOT} {
			e, ok := cell.Estimate(metric)
			if !ok || !e.HasInterval() {
				t.Fatalf("%s in flight has no %s", row[0], metric)
			}
			agree(t, row[0]+" in flight, "+metric, row[1+i], e.Centre, *e.Lo, *e.Hi)
		}
		power, _ := cell.Estimate(report.MetricPower)
		agree(t, row[0]+" in flight, W", row[5], power.Centre)
		e, _ := cell.Estimate(report.MetricEnergyPerToken)
		c := e.Components
		agree(t, row[0]+" in flight, windows", row[6], 100*c.WithinRel)
		agree(t, row[0]+" in flight, loads", row[7], 100*c.BetweenRel, 100*c.BetweenLoRel, 100*c.BetweenHiRel)
	}
}

// shape is a row's name of lengths as the cells' labels have it.
var shape = map[string]string{"32 + 256": "long-output", "512 + 128": "balanced", "1536 + 256": "long-both", "1536 + 16": "long-input"}

// The joules by phase, and of each cell that they were fitted to, are those of the report.
func TestTheVLLMPageHasTheFitOfPhases(t *testing.T) {
	page, cells := read(t, vllmPage), map[string]report.Cell{}
	for _, c := range reported(t, "h200-vllm-attached").Cells {
		cells[c.Label] = c
	}
	table := rows(page, "tokens in + out")
	if len(cells) != 16 || len(table) != 4 {
		t.Fatalf("%d cells, and %d rows of joules", len(cells), len(table))
	}
	for _, row := range table {
		for i, concurrency := range []string{"1", "8", "32", "128"} {
			label := "concurrency=" + concurrency + " shape=" + shape[row[0]]
			e, _ := cells[label].Estimate(report.MetricEnergyPerToken)
			agree(t, label, row[1+i], e.Centre)
		}
	}
	parts := rows(page, "part")
	if len(parts) != 7 {
		t.Fatalf("%d parts", len(parts))
	}
	fitted := cells["concurrency=32 shape=balanced"].Phase
	for _, row := range parts {
		switch lengths := lengthsOf.FindString(row[0]); {
		case lengths != "":
			decode := cells["concurrency=8 shape="+shape[lengths]].Phase.Decode
			agree(t, row[0], row[1], decode.Centre, *decode.Lo, *decode.Hi)
		case strings.HasPrefix(row[0], "prefill"):
			agree(t, row[0], row[1], fitted.Prefill.Centre, *fitted.Prefill.Lo, *fitted.Prefill.Hi)
		case strings.HasSuffix(row[0], "step"):
			agree(t, row[0], row[1], fitted.Fit.StepJ)
		default:
			agree(t, row[0], row[1], fitted.Fit.IdleW)
		}
	}
	for text, value := range map[string]float64{
		"foretells its joules to (\\S+) %": 100 * fitted.Fit.LeaveOutRel, "is off by (\\S+) % \\(root": 100 * fitted.Fit.ResidualRel,
		`\((\S+) mJ for each 1000`: 1e6 * fitted.Fit.ContextTokenJ,
	} {
		found := regexp.MustCompile(text).FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("%s: no %q", vllmPage, text)
		}
		agree(t, text, found[1], value)
	}
}

var lengthsOf = regexp.MustCompile(`\d+ \+ \d+`)
