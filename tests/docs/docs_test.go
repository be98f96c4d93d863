// Package docs_test holds the user documentation against the code: its studies
// parse, its lists of keys, fields and columns are complete, its links lead
// somewhere, and its program is the one in examples.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root of the repository.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is a fenced block of a page.
type block struct {
	language, text string
	line           int // of the first line inside, from 1
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(page string) []block {
	var found []block
	for _, at := range fence.FindAllStringSubmatchIndex(page, -1) {
		found = append(found, block{
			language: page[at[2]:at[3]], text: page[at[4]:at[5]],
			line: 1 + strings.Count(page[:at[4]], "\n"),
		})
	}
	return found
}

// rows returns the tables of a page whose header begins with the given word:
// a list of cells for each row.
func rows(page, header string) [][]string {
	var found [][]string
	inside := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == header:
			inside = true
		case inside && !strings.HasPrefix(cells[0], "---"):
			found = append(found, cells)
		}
	}
	return found
}

// pages of the documentation.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		list, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range list {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, filepath.ToSlash(name))
		}
	}
	if len(found) < 6 {
		t.Fatalf("only the pages %v were found", found)
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	seen := 0
	for _, name := range pages(t) {
		page := read(t, name)
		for _, at := range link.FindAllStringSubmatchIndex(page, -1) {
			target := page[at[2]:at[3]]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			seen++
			line := 1 + strings.Count(page[:at[0]], "\n")
			path, anchor, _ := strings.Cut(target, "#")
			where := name
			if path != "" {
				where = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, where)); err != nil {
				t.Errorf("%s:%d: the link %q leads nowhere", name, line, target)
				continue
			}
			if anchor != "" && !hasHeading(read(t, where), anchor) {
				t.Errorf("%s:%d: %s has no heading %q", name, line, where, anchor)
			}
		}
	}
	if seen == 0 {
		t.Error("no link was found: the pattern is broken")
	}
}

// hasHeading tells whether a heading has the anchor that Markdown gives it.
func hasHeading(page, anchor string) bool {
	for line := range strings.Lines(page) {
		title := strings.TrimSpace(strings.TrimLeft(line, "#"))
		if !strings.HasPrefix(line, "#") {
			continue
		}
		id := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(title), "")
		if strings.ReplaceAll(id, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// The program on the page is the one that is built and checked in examples.
func TestTheProgramIsTheExample(t *testing.T) {
	const name = "docs/writing-a-plugin.md"
	want := read(t, "examples/plugins/echo/main.go")
	for _, b := range blocks(read(t, name)) {
		if b.language != "go" || !strings.Contains(b.text, "package main") {
			continue
		}
		if b.text != want {
			t.Errorf("%s:%d: the program differs from examples/plugins/echo/main.go", name, b.line)
		}
		return
	}
	t.Errorf("%s has no Go block with a whole program", name)
}
