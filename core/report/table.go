package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/llenergymeasure/llem/core/stats"
)

// TableOptions say what the output can show.
type TableOptions struct {
	// Terminal: without one the table is plain ASCII.
	Terminal bool
	// Color admits escape sequences; it has no effect without Terminal.
	Color bool
	// Width of the terminal in columns; 0 = no limit. Columns that do not fit
	// are left out and named.
	Width int
	// Latencies adds every quantile of every latency.
	Latencies bool
}

// Table writes the summary for people: a row for each cell, and below it how the
// cells compare, what the joules cover, how sure the numbers are, and every doubt.
func Table(w io.Writer, s Summary, o TableOptions) error {
	p := printer{w: &strings.Builder{}, s: s, o: o}
	p.table()
	p.comparisons()
	p.goodput()
	p.latencies()
	p.phases()
	p.energy()
	p.besides()
	p.regimes()
	p.audit()
	p.uncertainty()
	p.calibrated()
	p.variances()
	p.noPhases()
	p.labels()
	doubts := printer{w: &strings.Builder{}, s: s, o: o}
	doubts.failures()
	doubts.warnings()
	if doubts.w.Len() > 0 {
		fmt.Fprintf(p.w, "\n%s", doubts.w)
	}
	text := printableColored(p.w.String())
	if !o.Color || !o.Terminal {
		text = Printable(text)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

type printer struct {
	w *strings.Builder // what is printed in the end, all at once
	s Summary
	o TableOptions
}

var asciiForms = strings.NewReplacer("≈", "~", "±", "+/-", "×", "x")

// text is s in the characters that the output can show.
func (p *printer) text(s string) string {
	if p.o.Terminal {
		return s
	}
	return asciiForms.Replace(s)
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintln(p.w, p.text(fmt.Sprintf(format, args...)))
}

// Colours of the few words that matter.
const (
	bold   = "1"
	red    = "31"
	yellow = "33"
)

func (p *printer) color(code, s string) string {
	if !p.o.Terminal || !p.o.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// column of the table. Those with a rank are left out when the terminal is
// too narrow, the greatest first.
type column struct {
	head  string
	rank  int
	value func(Cell) string
}

func (p *printer) columns() []column {
	columns := []column{
		{head: "cell", value: p.label},
		{head: "J/token [95 %]", value: p.joules},
		{head: "tokens/s [95 %]", value: func(c Cell) string { return interval(c.Estimate(MetricTokensPerS)) }},
		{head: "n", value: func(c Cell) string { return strconv.Itoa(c.samples()) }},
		{head: "mean W", rank: 1, value: func(c Cell) string { return c.mark(centre(c.Estimate(MetricPower))) }},
		{head: "TTFT p50 ms", rank: 2, value: func(c Cell) string { return centre(c.Estimate(MetricTTFT)) }},
		{head: "TPOT p50 ms", rank: 3, value: func(c Cell) string { return centre(c.Estimate(MetricTPOT)) }},
	}
	for i, kind := range p.otherKinds() {
		columns = append(columns, column{head: kind + " J/token", rank: 10 + i, value: func(c Cell) string { return domainValue(c, kind) }})
	}
	for i, metric := range []string{MetricCO2, MetricCost} {
		if head := p.unit(metric); head != "" {
			columns = append(columns, column{head: head, rank: 30 + i, value: func(c Cell) string { return c.mark(centre(c.Estimate(metric))) }})
		}
	}
	return filled(columns, p.s.Cells)
}

// filled leaves out columns that no cell has a value for: they say nothing.
func filled(columns []column, cells []Cell) []column {
	return slices.DeleteFunc(columns, func(c column) bool {
		return c.rank > 0 && !slices.ContainsFunc(cells, func(cell Cell) bool { return c.value(cell) != missing })
	})
}

func (p *printer) unit(metric string) string {
	for _, c := range p.s.Cells {
		if e, ok := c.Estimate(metric); ok {
			return e.Unit
		}
	}
	return ""
}

func (p *printer) label(c Cell) string {
	if c.Grouped {
		return c.Label + " (one load)"
	}
	return c.Label
}

func (p *printer) joules(c Cell) string {
	e, ok := c.Estimate(MetricEnergyPerToken)
	switch {
	case ok:
		return c.mark(interval(e, true))
	case c.Trials == 0 && c.Excluded > 0:
		return p.color(red, fmt.Sprintf("excluded (%d)", c.Excluded))
	case c.Trials == 0 && c.Failed > 0:
		return p.color(red, fmt.Sprintf("failed (%d)", c.Failed))
	case c.Trials == 0 && c.Interrupted > 0:
		return p.color(yellow, "interrupted")
	}
	return missing
}

// samples are those behind the intervals beside them: loads, and of a grouped cell the
// windows of its one load.
func (c Cell) samples() int {
	for _, metric := range []string{MetricEnergyPerToken, MetricTokensPerS} {
		if e, ok := c.Estimate(metric); ok {
			return e.N
		}
	}
	return c.Trials
}

// mark puts the sign of an estimate before a number made of modelled joules.
func (c Cell) mark(number string) string {
	if c.Estimated && number != missing {
		return "≈" + number
	}
	return number
}

// table has a row for each cell.
func (p *printer) table() {
	if p.s.Study != "" {
		p.line("%s", p.color(bold, p.s.Study))
	}
	if len(p.s.Cells) == 0 {
		p.line("no trial was finished")
		return
	}
	p.tabulate(p.columns(), p.s.Cells)
}

// tabulate prints as many columns as fit.
func (p *printer) tabulate(columns []column, cells []Cell) {
	var hidden []string
	out := p.render(columns, cells, 0)
	for p.o.Width > 0 && widest(out) > p.o.Width {
		last := -1
		for i, c := range columns {
			if c.rank > 0 && (last < 0 || c.rank > columns[last].rank) {
				last = i
			}
		}
		if last < 0 { // nothing left to leave out: wrap the names
			rest := widest(out) - longest(columns[0], cells)
			out = p.render(columns, cells, max(8, p.o.Width-rest))
			break
		}
		hidden = append([]string{columns[last].head}, hidden...)
		columns = slices.Delete(columns, last, last+1)
		out = p.render(columns, cells, 0)
	}
	fmt.Fprintln(p.w, out)
	if len(hidden) > 0 {
		p.line("(not shown for want of width: %s; see summary.csv)", strings.Join(hidden, ", "))
	}
}

func longest(c column, cells []Cell) int {
	n := len(c.head)
	for _, cell := range cells {
		n = max(n, text.StringWidthWithoutEscSequences(c.value(cell)))
	}
	return n
}

func widest(s string) int {
	n := 0
	for line := range strings.Lines(s) {
		n = max(n, text.StringWidthWithoutEscSequences(strings.TrimRight(line, "\n")))
	}
	return n
}

func (p *printer) render(columns []column, cells []Cell, nameWidth int) string {
	t := table.NewWriter()
	style := table.StyleDefault
	if p.o.Terminal {
		style = table.StyleLight
	}
	style.Format = table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault, Footer: text.FormatDefault}
	style.Options = table.Options{SeparateHeader: true, SeparateColumns: false}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Color = table.ColorOptions{}
	t.SetStyle(style)
	head := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		head[i] = p.color(bold, p.text(c.head))
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight}
		if i == 0 {
			configs[i] = table.ColumnConfig{Number: 1, Align: text.AlignLeft, WidthMax: nameWidth, WidthMaxEnforcer: text.WrapHard}
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	heads, rules := headings(cells), []string{""}
	for i, c := range cells {
		if i == 0 {
			rules[0] = heads[c.Group]
		} else if before := cells[i-1]; len(before.Estimates) > 0 && c.Group != before.Group {
			// Never one ranking across groups; cells without numbers stand apart.
			t.AppendSeparator()
			rules = append(rules, heads[c.Group])
		}
		row := make(table.Row, len(columns))
		for i, column := range columns {
			row[i] = p.text(column.value(c))
		}
		t.AppendRow(row)
	}
	lines := strings.Split(t.Render(), "\n")
	rule := lines[slices.IndexFunc(lines, isRule)] // the head's is always there
	for i := range lines {
		if lines[i] == rule && len(rules) > 0 {
			lines[i], rules = p.ruled(rule, rules[0]), rules[1:]
		}
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// isRule is true for a line of the table without words.
func isRule(line string) bool { return line != "" && strings.Trim(line, "-─ ") == "" }

// missing stands for a value that is not there.
const missing = "-"

// centre is a value without its interval, in as many digits as it deserves.
func centre(e stats.Estimate, ok bool) string {
	if !ok {
		return missing
	}
	return digits(e.Centre, decimals(e))
}

// interval is a value with its random interval.
func interval(e stats.Estimate, ok bool) string {
	if !ok {
		return missing
	}
	d := decimals(e)
	if !e.HasInterval() {
		return digits(e.Centre, d)
	}
	return fmt.Sprintf("%s [%s, %s]", digits(e.Centre, d), digits(*e.Lo, d), digits(*e.Hi, d))
}
