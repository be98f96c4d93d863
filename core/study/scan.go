package study

import (
	"strconv"
	"strings"
)

// The TOML parser's memory grows with the square of how deep a text goes and
// of how long its keys are: half a megabyte of dots takes all of a machine's.
// So the scanner looks at a text first, and stops where it goes too far.
const (
	mostNesting  = 100  // tables, lists and parts of a key in one another
	mostKeyBytes = 1000 // a key with the tables that it lies in
)

// scanKeys finds the place of every key of a TOML text that is well formed:
// the first character of its last part. Tables count as keys. Text that is not
// well formed gives some places or none, and never fails.
func scanKeys(text []byte) *scanner {
	s := &scanner{text: text, line: 1, column: 1, keys: map[string]Pos{}, inline: map[string]bool{}}
	s.document()
	return s
}

type scanner struct {
	text         []byte
	at           int
	line, column int
	keys         map[string]Pos
	inline       map[string]bool // keys whose value is written as { ... }
	// excess says what goes too far, if anything does, and excessAt where;
	// nothing behind it was scanned.
	excess   string
	excessAt Pos
}

// tooFar ends the scan if what lies at pos goes beyond the bounds.
func (s *scanner) tooFar(pos Pos, nesting, keyBytes int) bool {
	switch {
	case nesting > mostNesting:
		s.excess = "it goes more than " + strconv.Itoa(mostNesting) + " tables or lists deep"
	case keyBytes > mostKeyBytes:
		s.excess = "a key has more than " + strconv.Itoa(mostKeyBytes) + " bytes"
	default:
		return false
	}
	s.at, s.excessAt = len(s.text), pos
	return true
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) next() byte {
	c := s.peek()
	if s.done() {
		return 0
	}
	s.at++
	if c == '\n' {
		s.line, s.column = s.line+1, 1
	} else {
		s.column++
	}
	return c
}

func (s *scanner) has(prefix string) bool {
	return strings.HasPrefix(string(s.text[s.at:min(len(s.text), s.at+len(prefix))]), prefix)
}

// document reads tables and assignments.
func (s *scanner) document() {
	prefix, depth := "", 0
	for !s.done() {
		s.blank(true)
		switch {
		case s.done():
		case s.peek() == '[':
			s.next()
			if s.peek() == '[' {
				s.next()
			}
			s.blank(false)
			path, pos, parts := s.keyPath("", 0)
			prefix, depth = path, parts
			s.record(prefix, pos)
			s.restOfLine()
		default:
			s.assignment(prefix, depth)
			s.restOfLine()
		}
	}
}

func (s *scanner) record(path string, pos Pos) {
	if path == "" || s.excess != "" {
		return
	}
	if _, known := s.keys[path]; !known {
		s.keys[path] = pos
	}
}

// assignment reads `key = value` and the keys inside the value, depth levels
// down.
func (s *scanner) assignment(prefix string, depth int) {
	full, pos, parts := s.keyPath(prefix, depth)
	if parts == 0 {
		s.next() // not well formed: get on
		return
	}
	s.record(full, pos)
	s.blank(false)
	if s.peek() != '=' {
		return
	}
	s.next()
	s.blank(false)
	if s.peek() == '{' {
		s.inline[full] = true
	}
	s.value(full, depth+parts)
}

func join(prefix, path string) string {
	if prefix == "" {
		return path
	}
	return prefix + "." + path
}

// keyPath reads a dotted key and returns it behind prefix, with the place of
// its last part and the number of its parts, 0 where there is no key.
func (s *scanner) keyPath(prefix string, depth int) (string, Pos, int) {
	path, pos := prefix, Pos{s.line, s.column}
	for parts := 0; ; parts++ {
		s.blank(false)
		start := Pos{s.line, s.column}
		part, ok := s.keyPart()
		if !ok {
			return path, pos, parts
		}
		pos = start
		if s.tooFar(pos, depth+parts+1, len(path)+1+len(part)) {
			return path, pos, parts
		}
		path = join(path, part)
		s.blank(false)
		if s.peek() != '.' {
			return path, pos, parts + 1
		}
		s.next()
	}
}

func (s *scanner) keyPart() (string, bool) {
	start := s.at
	switch c := s.peek(); {
	case c == '"' || c == '\'':
		s.quoted()
		if s.at-start < 2 {
			return "", false
		}
		if c == '"' {
			if plain, err := strconv.Unquote(string(s.text[start:s.at])); err == nil {
				return plain, true
			}
		}
		return string(s.text[start+1 : s.at-1]), true
	case bareKey(c):
		for bareKey(s.peek()) {
			s.next()
		}
		return string(s.text[start:s.at]), true
	}
	return "", false
}

func bareKey(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.peek()
	triple := strings.Repeat(string(quote), 3)
	if s.has(triple) {
		for range 3 {
			s.next()
		}
		for !s.done() && !s.has(triple) {
			if s.next() == '\\' && quote == '"' {
				s.next()
			}
		}
		for range 3 {
			s.next()
		}
		// Up to two quotes may stand directly before the closing three.
		for s.peek() == quote {
			s.next()
		}
		return
	}
	s.next()
	for !s.done() && s.peek() != quote && s.peek() != '\n' {
		if s.next() == '\\' && quote == '"' {
			s.next()
		}
	}
	s.next()
}

// value skips a value and records the keys of inline tables in it.
func (s *scanner) value(path string, depth int) {
	if s.tooFar(Pos{s.line, s.column}, depth, 0) {
		return
	}
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.next()
		for !s.done() {
			s.blank(true)
			if s.peek() == ']' {
				s.next()
				return
			}
			if s.peek() == ',' {
				s.next()
				continue
			}
			before := s.at
			s.value(path, depth+1)
			if s.at == before {
				s.next()
			}
		}
	case '{':
		s.next()
		for !s.done() {
			s.blank(true)
			if s.peek() == '}' {
				s.next()
				return
			}
			if s.peek() == ',' {
				s.next()
				continue
			}
			before := s.at
			s.assignment(path, depth)
			if s.at == before {
				s.next()
			}
		}
	default:
		for !s.done() && !strings.ContainsRune(",]}#\n", rune(s.peek())) {
			s.next()
		}
	}
}

// blank skips spaces and, across lines, newlines and comments.
func (s *scanner) blank(lines bool) {
	for !s.done() {
		switch c := s.peek(); {
		case c == ' ' || c == '\t' || c == '\r':
			s.next()
		case lines && c == '\n':
			s.next()
		case lines && c == '#':
			s.restOfLine()
		default:
			return
		}
	}
}

func (s *scanner) restOfLine() {
	for !s.done() && s.peek() != '\n' {
		s.next()
	}
}
