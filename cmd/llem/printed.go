package main

import (
	"io"
	"os"

	"github.com/llenergymeasure/llem/core/report"
)

// printed is where text for people goes. Whatever a plugin, an engine or a
// file put into it is made harmless here, in one place for all commands. Each
// Write holds whole characters: package fmt writes a call's text at once.
type printed struct{ to io.Writer }

func (p printed) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.to, report.Printable(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// device is what lies below, for those who draw on a terminal or write for
// machines, whose data must not change.
func device(w io.Writer) io.Writer {
	if p, ok := w.(printed); ok {
		return p.to
	}
	return w
}

// terminal tells whether w is a terminal that colours and redrawing suit.
func terminal(w io.Writer) bool {
	file, ok := device(w).(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && isTerminal(file)
}
