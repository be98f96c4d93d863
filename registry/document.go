package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/llenergymeasure/llem/sdk"
)

// maxDocument bounds the files that this package reads as TOML; real ones
// have a few hundred bytes.
const maxDocument = 1 << 20

// document is a small TOML file read strictly: whatever is asked for is
// checked, whatever is left over is refused, and each finding names file and
// line. Findings are collected, so that one reading reports all of them.
type document struct {
	file  string
	tree  map[string]any
	lines map[string]int
	found []error
}

// readDocument reads and parses file. Its syntax errors name the line; the
// columns that the TOML reader gives are not those of the fault.
func readDocument(file string) (*document, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", file)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return parseDocument(file, data)
}

func parseDocument(file string, data []byte) (*document, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%s: larger than 1 MiB", file)
	}
	d := &document{file: file}
	if _, err := toml.Decode(string(data), &d.tree); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%s:%d: %s", file, syntax.Position.Line, syntax.Message)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d.lines = keyLines(string(data))
	return d, nil
}

// refuse adds a finding about key, a path such as "files.ggml".
func (d *document) refuse(key, format string, args ...any) {
	where := d.file
	for path := key; ; {
		if line, ok := d.lines[path]; ok {
			where = fmt.Sprintf("%s:%d", d.file, line)
			break
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			break
		}
		path = path[:dot]
	}
	d.found = append(d.found, fmt.Errorf("%s: %s: %s", where, key, fmt.Sprintf(format, args...)))
}

// err returns all findings as one error.
func (d *document) err() error { return errors.Join(d.found...) }

// only refuses keys of table other than the known ones.
func (d *document) only(prefix string, table map[string]any, known ...string) {
	for _, key := range sortedKeys(table) {
		if slices.Contains(known, key) {
			continue
		}
		if near := sdk.Nearest(key, known); near != "" {
			d.refuse(prefix+key, "unknown key; did you mean %q?", near)
		} else {
			d.refuse(prefix+key, "unknown key; known keys: %s", strings.Join(known, ", "))
		}
	}
}

// get returns the value of a key of the type T. An absent key is the zero
// value, and a finding if it is required.
func get[T any](d *document, prefix string, table map[string]any, key string, required bool) T {
	var zero T
	value, ok := table[key]
	if !ok {
		if required {
			d.refuse(prefix+key, "missing; expected %s", kindOf(any(zero)))
		}
		return zero
	}
	typed, ok := value.(T)
	if !ok {
		d.refuse(prefix+key, "expected %s, found %s", kindOf(any(zero)), kindOf(value))
	}
	return typed
}

// texts returns the value of a key that holds a list of strings.
func (d *document) texts(key string, required bool) []string {
	var list []string
	for i, element := range get[[]any](d, "", d.tree, key, required) {
		text, ok := element.(string)
		if !ok {
			d.refuse(key, "element %d: expected a string, found %s", i+1, kindOf(element))
		}
		list = append(list, text)
	}
	return list
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a bool"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return "a date or time"
}

// keyLines returns the line of each key path in a document that parses; a
// table that has no header of its own is where its first key is. The
// TOML reader gives no positions for valid keys, so the lines are read once
// more. Text inside a multi-line string can look like a key; since the first
// line of a path is kept, that could at worst shift the line in a message.
func keyLines(text string) map[string]int {
	lines := map[string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		path := ""
		if header, ok := strings.CutPrefix(line, "["); ok {
			table, _ = scanKey(strings.TrimPrefix(header, "["))
			path, table = table, table+"."
		} else if key, rest := scanKey(line); key != "" && strings.HasPrefix(rest, "=") {
			path = table + key
		}
		for path != "" {
			if _, known := lines[path]; known {
				break
			}
			lines[path] = i + 1
			path = path[:max(0, strings.LastIndexByte(path, '.'))]
		}
	}
	return lines
}

// scanKey reads a dotted key, quoted or bare, from the start of text and
// returns it without quotes, with what follows.
func scanKey(text string) (key, rest string) {
	var parts []string
	for {
		text = strings.TrimLeft(text, " \t")
		var part string
		if text != "" && (text[0] == '"' || text[0] == '\'') {
			end := strings.IndexByte(text[1:], text[0])
			if end < 0 {
				return "", text
			}
			part, text = text[1:1+end], text[end+2:]
		} else {
			end := strings.IndexFunc(text, func(r rune) bool {
				return !(r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
			})
			if end < 0 {
				end = len(text)
			}
			part, text = text[:end], text[end:]
		}
		parts = append(parts, part)
		text = strings.TrimLeft(text, " \t")
		if !strings.HasPrefix(text, ".") {
			return strings.Join(parts, "."), text
		}
		text = text[1:]
	}
}
