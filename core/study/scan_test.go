package study

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

var scanTexts = []struct {
	name, text string
	want       map[string]Pos
}{
	{"plain", "a = 1\n  b=2", map[string]Pos{"a": {1, 1}, "b": {2, 3}}},
	{"dotted", "a.b . c = 1", map[string]Pos{"a.b.c": {1, 7}}},
	{"tables", "[t]\nx = 1\n[ t . u ]\ny = 2\n[[w]]\nz = 3", map[string]Pos{"t": {1, 2}, "t.x": {2, 1}, "t.u": {3, 7}, "t.u.y": {4, 1}, "w": {5, 3}, "w.z": {6, 1}}},
	{"quoted", "\"a b\" = 1\n'c\\n'.\"d\\u0065\" = 2\n[t.\"x]#\"]\nk = 1", map[string]Pos{"a b": {1, 1}, `c\n.de`: {2, 7}, "t.x]#": {3, 4}, "t.x]#.k": {4, 1}}},
	{"inline", "a = { b = 1, c.d = {e = \"}\"} } # f = 1\ng = {}", map[string]Pos{"a": {1, 1}, "a.b": {1, 7}, "a.c.d": {1, 16}, "a.c.d.e": {1, 21}, "g": {2, 1}}},
	{"arrays", "a = [ # b = 1\n  1, # ]\n  [\"]\", '['],\n]\nc = [\n]", map[string]Pos{"a": {1, 1}, "c": {5, 1}}},
	{"array of inline tables", "a = [{b = 1},\n{c = 2}]\nd = 1", map[string]Pos{"a": {1, 1}, "a.b": {1, 7}, "a.c": {2, 2}, "d": {3, 1}}},
	{"multi-line", "a = \"\"\"\nx = 1\n\\\"\"\" y\"\"\"\"\nb = '''\n[t]\n'' \\''''\nc = 1", map[string]Pos{"a": {1, 1}, "b": {4, 1}, "c": {7, 1}}},
	{"strings", "a = \"\\\"#\\\\\" # b = 1\nc = '\\'\nd = ''", map[string]Pos{"a": {1, 1}, "c": {2, 1}, "d": {3, 1}}},
	{"comments", "# a = 1\n\n  # [t]\nb = 1 # c = 2\n#", map[string]Pos{"b": {4, 1}}},
	{"values", "a = 2024-01-02 03:04:05\nb = -inf\nc = 0x1F\nd = [1.5, true]", map[string]Pos{"a": {1, 1}, "b": {2, 1}, "c": {3, 1}, "d": {4, 1}}},
	{"CRLF", "a = 1\r\n\r\n[t] # x\r\n\tb = \"\"\"\r\nz = 1\"\"\"\r\nc = [\r\n1]\r\n", map[string]Pos{"a": {1, 1}, "t": {3, 2}, "t.b": {4, 2}, "t.c": {6, 1}}},
	{"first of two", "[[a]]\nb = 1\n[[a]]\nb = 2", map[string]Pos{"a": {1, 3}, "a.b": {2, 1}}},
	{"empty key", "\"\" = \"\"\"\nx = 1\n\"\"\"\nb = 1", map[string]Pos{"b": {4, 1}}},
}

func TestScanKeys(t *testing.T) {
	for _, test := range scanTexts {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, scanKeys([]byte(test.text)).keys); diff != "" {
				t.Errorf("keys of %q (-want +got):\n%s", test.text, diff)
			}
		})
	}
}

// TestScanKeysAgreesWithParser compares the scanner's keys with those of the
// TOML parser.
func TestScanKeysAgreesWithParser(t *testing.T) {
	texts := map[string]string{"example": string(example), "plain": plain}
	for _, test := range scanTexts {
		texts[test.name] = test.text
	}
	files, _ := filepath.Glob("testdata/bad/*.toml")
	more, _ := filepath.Glob("../../examples/*.toml")
	if len(more) == 0 {
		t.Error("no example studies")
	}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	agreed, refused := 0, 0
	for name, text := range texts {
		scanned := scanKeys([]byte(text))
		if scanned.excess != "" {
			refused++
			continue
		}
		if parsed, ok := parserKeys(text); ok {
			agreed++
			if diff := cmp.Diff(parsed, slices.Sorted(maps.Keys(scanned.keys))); diff != "" {
				t.Errorf("%s (-parser +scanner):\n%s", name, diff)
			}
		}
	}
	if agreed+refused < len(texts)-3 || refused != 2 {
		t.Errorf("of %d texts %d are well formed and %d go too far", len(texts), agreed, refused)
	}
}

// parserKeys lists the keys that the TOML parser finds in a well-formed text.
func parserKeys(text string) ([]string, bool) {
	var tree map[string]any
	meta, err := toml.Decode(text, &tree)
	if err != nil {
		return nil, false
	}
	set := map[string]bool{}
	for _, key := range meta.Keys() {
		path := ""
		for _, part := range key {
			path = join(path, part)
		}
		if path != "" {
			set[path] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), true
}

// FuzzScanKeys checks that no text makes the scanner panic or hang, that
// places lie in the text, and that the parser's keys are all found.
func FuzzScanKeys(f *testing.F) {
	for _, test := range scanTexts {
		f.Add(test.text)
	}
	f.Add(string(example))
	f.Add("a = {b = [")
	f.Add("[[[")
	f.Fuzz(func(t *testing.T, text string) {
		scanned := scanKeys([]byte(text))
		keys := scanned.keys
		lines := newSource("x", []byte(text)).lines
		for key, pos := range keys {
			if pos.Line < 1 || pos.Line > len(lines) || pos.Column < 1 || pos.Column > len(lines[pos.Line-1]) {
				t.Errorf("%q lies at %v, outside of the text", key, pos)
			}
		}
		if scanned.excess != "" {
			return // refused; the parser's memory would not do either
		}
		if parsed, ok := parserKeys(text); ok {
			for _, key := range parsed {
				if _, found := keys[key]; !found {
					t.Errorf("%q: key %q was not found; found %v", text, key, keys)
				}
			}
		}
	})
}
