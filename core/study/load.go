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
	text, err := readText(path, "study file")
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// readText reads a settings file with errors that say what to do.
func readText(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s %s: there is no such file; `llem config example > study.toml` makes one to start from: %w", what, path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case info.IsDir():
		return nil, fmt.Errorf("read %s %s: it is a directory; name the .toml file in it", what, path)
	case info.Size() > mostBytes:
		return nil, fmt.Errorf("read %s %s: it has %.1f MB and a study has at most %d MB; is it the right file?", what, path, float64(info.Size())/1e6, mostBytes>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return text, nil
}

// Parse is Load for a text that is at hand; path is for messages.
func Parse(path string, text []byte) (*Study, error) {
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
		r.problems.sort()
		return nil, r.problems
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
	if len(bytes.TrimSpace(text)) == 0 {
		return fail(Pos{}, "the file is empty", "`llem config example` prints a "+what+" to start from")
	}
	var tree map[string]any
	if _, err := toml.Decode(string(text), &tree); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return fail(Pos{parse.Position.Line, max(1, parse.Position.Col)}, parse.Message, "")
		}
		return fail(Pos{}, err.Error(), "")
	}
	return tree, newSource(path, text), nil
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
		return fmt.Errorf("--profile %s: expected quick, standard or publication", name)
	}
	s.Protocol.Profile = name
	s.Protocol.IdleS, s.Protocol.ConditioningS, s.Protocol.WindowS = times.IdleS, times.ConditioningS, times.WindowS
	return nil
}

// isUnder tells whether key lies in the table named by prefix.
func isUnder(key, prefix string) bool { return strings.HasPrefix(key, prefix+".") }
