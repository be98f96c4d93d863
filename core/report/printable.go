package report

import (
	"regexp"
	"strings"
)

// Printable is s without what steers a terminal or turns its text around:
// control characters (C0 but for line ends and tabs, DEL, C1) and those that
// change the direction of writing. Plugins, engines and other people's results
// say anything; whatever of theirs is printed for people goes through here.
// Bytes that are no UTF-8 become U+FFFD: some terminals take them for C1.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', 0x7f <= r && r <= 0x9f:
			return -1
		case r == 0x61c, r == 0x200e, r == 0x200f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return -1 // marks, embeddings, overrides and isolates of direction
		case r == 0x2028, r == 0x2029:
			return '\n'
		}
		return r
	}, s)
}

// OneLine is Printable in a single line.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, Printable(s))
}

// ownColor is what printer.color writes.
var ownColor = regexp.MustCompile("\x1b\\[(0|" + bold + "|" + red + "|" + yellow + ")m")

// printableColored is Printable but for the table's own colours.
func printableColored(s string) string {
	var b strings.Builder
	last := 0
	for _, at := range ownColor.FindAllStringIndex(s, -1) {
		b.WriteString(Printable(s[last:at[0]]))
		b.WriteString(s[at[0]:at[1]])
		last = at[1]
	}
	b.WriteString(Printable(s[last:]))
	return b.String()
}
