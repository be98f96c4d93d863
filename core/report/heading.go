package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// headings name what tells the groups of cells apart, by the group's index; none
// where there is one group with numbers.
func headings(cells []Cell) map[int]string {
	firsts := map[int]Cell{} // with numbers, of each group
	for _, c := range cells {
		if _, seen := firsts[c.Group]; !seen && len(c.Estimates) > 0 {
			firsts[c.Group] = c
		}
	}
	if len(firsts) < 2 {
		return nil
	}
	differs := func(of func(Cell) string) bool {
		seen := map[string]bool{}
		for _, c := range firsts {
			seen[of(c)] = true
		}
		return len(seen) > 1
	}
	// Workloads whose lengths look alike are told apart by their hash.
	shapes := map[string]bool{}
	hashes := map[string]bool{}
	for _, c := range firsts {
		shapes[c.shape()], hashes[c.WorkHash] = true, true
	}
	heads := map[int]string{}
	for group, c := range firsts {
		var parts []string
		if differs(func(c Cell) string { return c.Model }) {
			parts = append(parts, "model "+orUnknown(c.Model))
		}
		if differs(func(c Cell) string { return c.WorkHash }) {
			work := c.shape()
			if len(shapes) < len(hashes) {
				work = strings.TrimSpace(work + " (" + short(c.WorkHash) + ")")
			}
			parts = append(parts, "workload "+work)
		}
		if differs(func(c Cell) string { return c.Boundary }) {
			parts = append(parts, "energy of "+orUnknown(c.Boundary))
		}
		heads[group] = strings.Join(parts, ", ")
	}
	return heads
}

// shape is what a request of the cell was on average, as counted in its first
// window, and the regime if it is not the hot one.
func (c Cell) shape() string {
	words := "unknown"
	if len(c.loads) > 0 && len(c.loads[0].Windows) > 0 {
		if w := c.loads[0].Windows[0]; w.Requests > 0 {
			of := func(tokens int64) float64 { return math.Round(float64(tokens) / float64(w.Requests)) }
			words = fmt.Sprintf("%.0f input / %.0f output tokens a request", of(w.PromptTokens), of(w.OutputTokens))
		}
	}
	if _, regime, other := strings.Cut(c.WorkHash, "/"); other {
		words += ", " + regime
	}
	return words
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// short is enough of a hash to tell it from others.
func short(hash string) string {
	hash, _, _ = strings.Cut(hash, "/")
	return hash[:min(8, len(hash))]
}

// ruled writes a heading into a rule of the table.
func (p *printer) ruled(rule, heading string) string {
	runes := []rune(rule)
	heading = p.text(Printable(heading))
	if most := p.o.Width - 4; p.o.Width > 0 && text.StringWidthWithoutEscSequences(heading) > most {
		heading = text.Trim(heading, max(1, most-3)) + "..."
	}
	if heading == "" || len(runes) == 0 {
		return rule
	}
	lead := string(runes[0]) + string(runes[0])
	out := lead + " " + heading + " "
	if n := text.StringWidthWithoutEscSequences(out); n < len(runes) {
		out += string(runes[n:])
	}
	return strings.TrimRight(out, " ")
}
