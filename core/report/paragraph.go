package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// paragraph prints a sentence, on a terminal broken between words so that what
// follows the first line stands below its indent.
func (p *printer) paragraph(format string, args ...any) { p.within(math.MaxInt, format, args...) }

// within is a paragraph that is broken at most columns where there is no
// terminal.
func (p *printer) within(most int, format string, args ...any) {
	sentence := p.text(fmt.Sprintf(format, args...))
	if p.o.Width > 0 {
		most = p.o.Width
	}
	if text.StringWidthWithoutEscSequences(sentence) <= most {
		fmt.Fprintln(p.w, sentence)
		return
	}
	words := strings.Fields(sentence)
	indent := sentence[:len(sentence)-len(strings.TrimLeft(sentence, " "))]
	line, column := indent, len(indent)
	for i, word := range words {
		width := text.StringWidthWithoutEscSequences(word)
		switch {
		case i == 0:
		case column+1+width > most:
			fmt.Fprintln(p.w, line)
			line, column = indent+"    ", len(indent)+4
		default:
			line, column = line+" ", column+1
		}
		line, column = line+word, column+width
	}
	fmt.Fprintln(p.w, line)
}
