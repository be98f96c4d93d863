package study

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
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
		line, column := excerpt(p.sourceLine, p.Pos.Column)
		fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s^", number, line, strings.Repeat(" ", len(number)), caretIndent(line, column))
		if p.Hint != "" {
			b.WriteString(" " + p.Hint)
		}
	} else if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// excerpt cuts a long line to what lies around a column, and moves the column
// with it.
func excerpt(line string, column int) (string, int) {
	const most, before, cut = 160, 60, "..."
	if len(line) <= most {
		return line, column
	}
	start := max(0, min(column-1-before, len(line)-most))
	for start > 0 && !utf8.RuneStart(line[start]) {
		start--
	}
	end := min(len(line), start+most)
	for end < len(line) && !utf8.RuneStart(line[end]) {
		end++
	}
	text := line[start:end]
	if start > 0 {
		text, column = cut+text, column-start+len(cut)
	}
	if end < len(line) {
		text += cut
	}
	return text, column
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

// mostShown bounds how many problems are spelled out; a file with more is
// rather the wrong file.
const mostShown = 50

func (p Problems) Error() string {
	noun := "problems"
	if len(p) == 1 {
		noun = "problem"
	}
	return strings.TrimPrefix(fmt.Sprintf("%s\n%d %s, nothing was started.", p.List(), len(p), noun), "\n")
}

// List is Error without its last line, for commands that go on.
func (p Problems) List() string {
	texts := make([]string, 0, min(len(p), mostShown)+1)
	for i, one := range p {
		if i == mostShown {
			texts = append(texts, fmt.Sprintf("... and %d more", len(p)-i))
			break
		}
		texts = append(texts, one.Error())
	}
	return strings.Join(texts, "\n")
}

// Sort orders problems by their places.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), strings.Compare(a.Key, b.Key))
	})
}

// source is a file's text with the places of its keys.
type source struct {
	file   string
	lines  [][]byte
	keys   map[string]Pos
	inline map[string]bool // keys whose value is written as { ... }
}

func newSource(path string, text []byte) source {
	scanned := scanKeys(text)
	return source{file: path, lines: bytes.Split(text, []byte("\n")), keys: scanned.keys, inline: scanned.inline}
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

// byName returns the places of the keys in each table of a section, by the
// table's name and the key's path in it.
func (s source) byName(section string) map[string]map[string]Pos {
	all := map[string]map[string]Pos{}
	for key, pos := range s.keys {
		rest, inside := strings.CutPrefix(key, section+".")
		name, path, deeper := strings.Cut(rest, ".")
		if !inside || !deeper {
			continue
		}
		if all[name] == nil {
			all[name] = map[string]Pos{}
		}
		all[name][path] = pos
	}
	return all
}

func (s source) place(p Problem, pos Pos) Problem {
	p.Pos = pos
	if pos.Line >= 1 && pos.Line <= len(s.lines) {
		p.sourceLine = string(bytes.TrimRight(s.lines[pos.Line-1], "\r"))
	}
	return p
}

// ProblemAt makes a Problem about a key of the study, for findings that others
// make: "backends.pytorch.dtype", or "sweep.backends.pytorch.dtype" for a place
// in the sweep. A key that only the sweep, a group or an experiment sets is
// shown there. For a finding about one cell ProblemIn is more exact.
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

// ProblemIn is ProblemAt for a finding about one cell: a value that an axis, a
// group or an experiment gave to this cell is shown there, even if the study
// has another for the other cells.
func (s *Study) ProblemIn(cell *Cell, key, message, hint string) Problem {
	var tables []string
	if cell.Experiment != "" {
		tables = append(tables, "experiments."+cell.Experiment)
	}
	for _, axis := range cell.Axes {
		if group, ok := strings.CutPrefix(axis.Key, "groups."); ok {
			tables = append(tables, fmt.Sprintf("sweep.groups.%s.%v", group, axis.Value))
		} else if axis.Key == key || isUnder(key, axis.Key) {
			return s.ProblemAt("sweep."+axis.Key, message, hint)
		}
	}
	for _, table := range tables {
		// The key itself or, for a key inside of a value, that value's.
		for at := key; strings.Contains(at, "."); at = at[:strings.LastIndexByte(at, '.')] {
			if _, set := s.source.keys[table+"."+at]; set && (at == key || s.source.inline[table+"."+at]) {
				return s.ProblemAt(table+"."+at, message, hint)
			}
		}
	}
	return s.ProblemAt(key, message, hint)
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
