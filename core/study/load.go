package study

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// mostBytes is the largest study file that is read; real ones have some
// kilobytes.
const mostBytes = 1 << 20

// Load reads a study file and checks everything that needs no plugin. What is
// wrong with it comes back as Problems: the first error of syntax, or all
// others at once.
func Load(path string) (*Study, error) {
	s, err := Draft(path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Draft is Load, but with the Problems of a file that parses comes what could
// be read of it, for further findings about its tables; it has no cells.
func Draft(path string) (*Study, error) {
	text, err := readText(path, "study file")
	if err != nil {
		return nil, err
	}
	return draft(path, text)
}

// readText reads a settings file with errors that say what to do.
func readText(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s %s: %w; `llem config example > study.toml` makes one to start from", what, path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case info.IsDir():
		return nil, fmt.Errorf("read %s %s: it is a directory; name the .toml file in it", what, path)
	case info.Size() > mostBytes:
		return nil, fmt.Errorf("read %s %s: it has %.1f MB, more than the %.1f MB that are read; is it the right file?", what, path, float64(info.Size())/1e6, mostBytes/1e6)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s %s: it is no regular file; save it as one", what, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return text, nil
}

// Parse is Load for a text that is at hand; path is for messages.
func Parse(path string, text []byte) (*Study, error) {
	s, err := draft(path, text)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func draft(path string, text []byte) (*Study, error) {
	if path != "" {
		path = displayPath(path)
	}
	tree, src, err := parseTree(path, text, "study")
	if err != nil {
		return nil, err
	}
	s := defaults()
	s.Path, s.Text, s.source = path, text, src
	r := &reader{study: s, src: src}
	r.read(tree)
	if len(r.problems) > 0 {
		r.problems.Sort()
		return s, r.problems
	}
	return s, nil
}

// parseTree checks the encoding and parses TOML into maps.
func parseTree(path string, text []byte, what string) (map[string]any, source, error) {
	fail := func(pos Pos, message, hint string) (map[string]any, source, error) {
		p := newSource(path, nil).problem("", message, hint)
		if pos.Line > 0 {
			p = source{file: path, lines: bytes.Split(text, []byte("\n"))}.place(p, pos)
		}
		return nil, source{}, Problems{p}
	}
	// A byte order mark is harmless; columns count without it.
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		line := 1 + bytes.Count(text[:invalidAt(text)], []byte("\n"))
		return fail(Pos{}, fmt.Sprintf("line %d is not UTF-8", line), "save the file as UTF-8")
	}
	if len(bytes.TrimSpace(text)) == 0 && what == "study" {
		return fail(Pos{}, "the file is empty", "`llem config example` prints a study to start from")
	}
	if scanned := scanKeys(text); scanned.excess != "" {
		return fail(scanned.excessAt, scanned.excess, "is it the right file?")
	}
	var tree map[string]any
	if _, err := toml.Decode(string(text), &tree); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return fail(syntaxPlace(text, parse), parse.Message, "")
		}
		return fail(Pos{}, err.Error(), "")
	}
	return tree, newSource(path, text), nil
}

// syntaxPlace is where a syntax error lies. The parser counts an unexpected
// end of a line to the next line, and places a repeated key at its equals
// sign; both are shown where the reader has to mend something.
func syntaxPlace(text []byte, parse toml.ParseError) Pos {
	at := min(max(parse.Position.Start, 0), len(text))
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	column := at - start + 1
	if strings.Contains(parse.Message, "already been defined") {
		column = len(text[start:at]) - len(bytes.TrimLeft(text[start:at], " \t")) + 1
	}
	return Pos{1 + bytes.Count(text[:start], []byte("\n")), column}
}

// invalidAt is the offset of the first byte that is not UTF-8.
func invalidAt(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return len(text)
}

// UseProfile replaces the times of the protocol by those of a profile, as the
// command line asks for.
func (s *Study) UseProfile(name string) error {
	times, ok := profiles[name]
	if !ok {
		return fmt.Errorf("--profile %q: expected quick, standard or publication", name)
	}
	s.Protocol.Profile = name
	s.Protocol.IdleS, s.Protocol.ConditioningS, s.Protocol.WindowS = times.IdleS, times.ConditioningS, times.WindowS
	if s.Protocol.Regime == RegimeCooldown {
		s.Protocol.ConditioningS = 0 // it has none
	}
	return nil
}

// isUnder tells whether key lies in the table named by prefix.
func isUnder(key, prefix string) bool { return strings.HasPrefix(key, prefix+".") }
