package report

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\nc":                             "a\tb\nc",
		"\x1b[2Jgone\r\a\x7f":                 "[2Jgone",
		"\u009b2J\u0085x\x9b2J":               "2Jx\ufffd2J",
		"price \u202e001\u202c \u2067x\u2069": "price 001 x",
		"a\u200eb\u200fc\u061cd":              "abcd",
		"≈ ±5 % µJ 日本 🙂":                      "≈ ±5 % µJ 日本 🙂",
		"line\u2028line":                      "line\nline",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
	if got := OneLine("a\n\tb\u2029c\x1b"); got != "a  b c" {
		t.Errorf("OneLine: %q", got)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m \x1b[5m\u202e\x9b")
	f.Fuzz(func(t *testing.T, s string) {
		out := printableColored(s)
		for _, r := range ownColor.ReplaceAllString(out, "") {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q lets %U through", s, r)
			}
		}
		if !utf8.ValidString(out) || strings.Contains(Printable(s), "\x1b") {
			t.Errorf("%q became %q", s, out)
		}
	})
}
