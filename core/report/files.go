package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/llenergymeasure/llem/core/stats"
)

// JSON writes the whole summary.
func JSON(w io.Writer, s Summary) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	return nil
}

// CSV writes one row for each cell, domain and metric; domain is empty for the
// headline. Cells without estimates have one row that says why in absent.
func CSV(w io.Writer, s Summary) error {
	axes := map[string]bool{}
	for _, c := range s.Cells {
		for key := range c.Axes {
			axes[key] = true
		}
	}
	keys := slices.Sorted(maps.Keys(axes))
	header := []string{"study", "cell", "label", "regime", "boundary", "estimated", "domain", "metric", "unit", "value", "lo", "hi", "confidence", "method", "phase_method", "n", "random_rel", "systematic_rel", "cv", "trials", "excluded", "failed", "random_weights", "warnings", "absent"}
	for _, key := range keys {
		header = append(header, "axis."+key)
	}
	out := csv.NewWriter(w)
	rows := [][]string{header}
	for _, c := range s.Cells {
		tail := make([]string, len(keys))
		for i, key := range keys {
			if v, ok := c.Axes[key]; ok {
				tail[i] = fmt.Sprint(v)
			}
		}
		for _, row := range c.rows() {
			rows = append(rows, append(append([]string{s.Study, c.ID, c.Label, c.Regime}, row...), tail...))
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write the summary as CSV: %w", err)
	}
	return nil
}

// rows from boundary to absent.
func (c Cell) rows() [][]string {
	counts := []string{strconv.Itoa(c.Trials), strconv.Itoa(c.Excluded), strconv.Itoa(c.Failed), strconv.FormatBool(c.RandomWeights)}
	var rows [][]string
	letter := "" // of the method that split the phases
	part := func(boundary, domain string, estimated bool, estimates []stats.Estimate, absent map[string]string, doubts []string) {
		lead := []string{boundary, strconv.FormatBool(estimated), domain}
		for _, e := range estimates {
			var codes []string
			for _, w := range e.Warnings {
				codes = append(codes, w.Code)
			}
			for _, code := range doubts {
				if !slices.Contains(codes, code) {
					codes = append(codes, code)
				}
			}
			row := append(slices.Clone(lead), e.Metric, e.Unit, number(&e.Centre), number(e.Lo), number(e.Hi),
				number(&e.Confidence), e.Method, letter, strconv.Itoa(e.N), number(e.RandomRel), number(e.SystematicRel), number(e.CV))
			rows = append(rows, append(append(row, counts...), strings.Join(codes, " "), ""))
		}
		for _, metric := range slices.Sorted(maps.Keys(absent)) {
			row := append(slices.Clone(lead), metric, "", "", "", "", "", "", "", "0", "", "", "")
			rows = append(rows, append(append(row, counts...), strings.Join(doubts, " "), absent[metric]))
		}
	}
	part(c.Boundary, "", c.Estimated, c.Estimates, c.Absent, c.Doubts)
	if c.Phase != nil {
		absent := map[string]string{}
		for _, metric := range phaseMetrics {
			if c.Phase.Method == "" {
				absent[metric] = c.Phase.Reason()
			}
		}
		letter = string(c.Phase.Method)
		part(c.Boundary, "", c.Estimated, c.phaseEstimates(), absent, c.Doubts)
		letter = ""
	}
	for _, d := range c.Domains {
		part(d.boundary(), d.ID, d.Estimated, d.Estimates, d.Absent, d.Doubts)
	}
	return rows
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// WriteDerived writes summary.json and summary.csv into a directory.
// Both can be made again at any time.
func WriteDerived(dir string, s Summary) error {
	for name, render := range map[string]func(io.Writer, Summary) error{"summary.json": JSON, "summary.csv": CSV} {
		var text bytes.Buffer
		if err := render(&text, s); err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if err := renameio.WriteFile(path, text.Bytes(), 0o644, renameio.WithTempDir(dir)); err != nil {
			return fmt.Errorf("write %s: %w; make the directory writable or copy it", path, err)
		}
	}
	return nil
}
