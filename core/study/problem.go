package study

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Pos is a place in a file, from 1; zero = not known.
type Pos struct{ Line, Column int }

// Problem is one thing that is wrong with a file.
type Problem struct {
	File    string
	Pos     Pos
	Key     string
	Message string
	// Hint is the next thing to try, or empty.
	Hint string

	sourceLine string
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Pos.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Pos.Line, p.Pos.Column)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.sourceLine != "" {
		number := fmt.Sprint(p.Pos.Line)
		fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s^", number, p.sourceLine, strings.Repeat(" ", len(number)), caretIndent(p.sourceLine, p.Pos.Column))
		if p.Hint != "" {
			b.WriteString(" " + p.Hint)
		}
	} else if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// caretIndent keeps tabs, so that the caret stands under its character.
func caretIndent(line string, column int) string {
	var b strings.Builder
	for i, r := range line {
		if i >= column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Problems is all that is wrong, by line.
type Problems []Problem

func (p Problems) Error() string {
	texts := make([]string, 0, len(p)+1)
	for _, one := range p {
		texts = append(texts, one.Error())
	}
	noun := "problems"
	if len(p) == 1 {
		noun = "problem"
	}
	return strings.Join(append(texts, fmt.Sprintf("%d %s, nothing was started.", len(p), noun)), "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Key, b.Key))
	})
}

// source is a file's text with the places of its keys.
type source struct {
	file  string
	lines [][]byte
	keys  map[string]Pos
}

func newSource(path string, text []byte) source {
	return source{file: path, lines: bytes.Split(text, []byte("\n")), keys: scanKeys(text)}
}

// problem makes a Problem about a key, at the key's place, at the first key in
// it ([a.b] makes a table a that stands nowhere itself), or at that of the
// nearest table around it.
func (s source) problem(key, message, hint string) Problem {
	p := Problem{File: s.file, Key: key, Message: message, Hint: hint}
	if p.File == "" {
		p.File = "study"
	}
	if _, ok := s.keys[key]; !ok && key != "" {
		inside := func(at string) bool { return isUnder(at, key) }
		if at, ok := s.first(inside); ok {
			return s.place(p, s.keys[at])
		}
	}
	for at := key; at != ""; {
		if pos, ok := s.keys[at]; ok {
			return s.place(p, pos)
		}
		dot := strings.LastIndexByte(at, '.')
		if dot < 0 {
			break
		}
		at = at[:dot]
	}
	return p
}

func (s source) place(p Problem, pos Pos) Problem {
	p.Pos = pos
	if pos.Line >= 1 && pos.Line <= len(s.lines) {
		p.sourceLine = string(bytes.TrimRight(s.lines[pos.Line-1], "\r"))
	}
	return p
}

// ProblemAt makes a Problem about a key of the study, for findings that others
// make: "backends.pytorch.dtype". A value that came from the sweep, a group or
// an experiment is shown there.
func (s *Study) ProblemAt(key, message, hint string) Problem {
	p := s.source.problem(key, message, hint)
	if _, exact := s.source.keys[key]; exact {
		return p
	}
	varied := func(at string) bool {
		return (isUnder(at, "sweep") || isUnder(at, "experiments")) && strings.HasSuffix(at, "."+key)
	}
	if at, ok := s.source.first(varied); ok {
		return s.source.place(Problem{File: p.File, Key: at, Message: message, Hint: hint}, s.source.keys[at])
	}
	return p
}

// first returns the key that comes first in the file among those that match.
func (s source) first(match func(string) bool) (string, bool) {
	found, ok := "", false
	for at, pos := range s.keys {
		before := s.keys[found]
		if match(at) && (!ok || cmp.Or(cmp.Compare(pos.Line, before.Line), cmp.Compare(pos.Column, before.Column), strings.Compare(at, found)) < 0) {
			found, ok = at, true
		}
	}
	return found, ok
}

func displayPath(path string) string { return filepath.Clean(path) }
