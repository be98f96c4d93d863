package docs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

const studyPage = "docs/study.md"

// Every block that is a whole study parses. A problem is shown with the page's
// line.
func TestStudiesParse(t *testing.T) {
	count := 0
	for _, name := range []string{"README.md", studyPage, "core/study/example.toml"} {
		page := read(t, name)
		list := blocks(page)
		if strings.HasSuffix(name, ".toml") {
			list = []block{{language: "toml", text: page, line: 1}}
		}
		for _, b := range list {
			if b.language != "toml" || !wholeStudy(b.text) {
				continue
			}
			count++
			s, err := study.Parse(name, []byte(b.text))
			var problems study.Problems
			switch {
			case errors.As(err, &problems):
				for _, p := range problems {
					t.Errorf("%s:%d: %s: %s", name, b.line+p.Pos.Line-1, p.Key, p.Message)
				}
			case err != nil:
				t.Errorf("%s:%d: %v", name, b.line, err)
			default:
				if _, err := study.Expand(s); err != nil {
					t.Errorf("%s:%d: %v", name, b.line, err)
				}
			}
		}
	}
	if count < 3 {
		t.Errorf("only %d studies were found", count)
	}
}

var firstName = regexp.MustCompile(`\A(\s*#[^\n]*\n)*\s*name =`)

func wholeStudy(text string) bool { return firstName.MatchString(text) }

// The page says how many cells its second study has.
func TestTheGrammarHasItsCells(t *testing.T) {
	for _, b := range blocks(read(t, studyPage)) {
		if !strings.Contains(b.text, `name = "grammar"`) {
			continue
		}
		s, err := study.Parse("", []byte(b.text))
		if err != nil {
			t.Fatal(err)
		}
		cells, err := study.Expand(s)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, c := range cells {
			got[c.Instance+" "+c.Experiment]++
		}
		if got["sim "] != 8 || got["large "] != 2 || got["sim long"] != 1 || len(got) != 3 {
			t.Errorf("the study has the cells %v; the page says 8 of sim, 2 of large and 1 experiment", got)
		}
		return
	}
	t.Error("the page has no study named grammar")
}

// leaf is a key in the JSON schema of studies.
type leaf struct {
	Enum       []string
	Default    any
	Properties map[string]leaf
}

// schemaKeys are the keys that this version acts on.
func schemaKeys(t *testing.T) map[string]leaf {
	t.Helper()
	var top leaf
	if err := json.Unmarshal(study.Schema(), &top); err != nil {
		t.Fatal(err)
	}
	keys := map[string]leaf{}
	var walk func(prefix string, at leaf)
	walk = func(prefix string, at leaf) {
		for name, next := range at.Properties {
			if prefix == "" && slices.Contains([]string{"backends", "sources", "sweep", "experiments"}, name) {
				continue // their keys are not the core's
			}
			if next.Properties != nil {
				walk(prefix+name+".", next)
				continue
			}
			keys[prefix+name] = next
		}
	}
	walk("", top)
	return keys
}

var fieldKey = regexp.MustCompile(`\{key: "([a-z0-9_.]+)"`)

// sourceKeys are all keys of a table in core/study, those that are refused,
// too, which nothing that is exported lists.
func sourceKeys(t *testing.T, file string) []string {
	t.Helper()
	var keys []string
	for _, found := range fieldKey.FindAllStringSubmatch(read(t, file), -1) {
		keys = append(keys, found[1])
	}
	return keys
}

// refusal parses a small study with a line added and returns what is said.
func refusal(line string) string {
	_, err := study.Parse("", []byte("name = \"x\"\nbackend = \"b\"\n"+line+"\n[model]\nid = \"m\"\n"))
	return fmt.Sprint(err)
}

func TestStudyKeys(t *testing.T) {
	known, all := schemaKeys(t), append(sourceKeys(t, "core/study/fields.go"), sourceKeys(t, "core/study/slo.go")...)
	for key := range known {
		if !slices.Contains(all, key) {
			t.Errorf("the pattern does not find %s in core/study/fields.go or slo.go", key)
		}
	}
	var documented []string
	for _, row := range rows(read(t, studyPage), "Key") {
		key := strings.Trim(row[0], "`")
		if !strings.HasPrefix(row[0], "`") || key == "plugin" || key == "version" {
			continue
		}
		documented = append(documented, key)
		if !slices.Contains(all, key) {
			t.Errorf("%s: %q is no key of a study", studyPage, key)
			continue
		}
		field, acted := known[key]
		vary, reserved := row[1], strings.Contains(refusal(key+" = 1"), "does not act on it")
		if acted == reserved {
			t.Errorf("%s: %s: in the schema %v, refused %v", studyPage, key, acted, reserved)
		}
		if acted {
			vary = row[3]
			checkRow(t, key, row, field)
		}
		if fixed := strings.Contains(refusal("sweep."+key+" = [1]"), "cannot be varied"); fixed != (vary == "no") {
			t.Errorf("%s: %s: it may be varied: %v; the page says %q", studyPage, key, !fixed, vary)
		}
	}
	for _, key := range all {
		if !slices.Contains(documented, key) {
			t.Errorf("%s: the key %s is missing", studyPage, key)
		}
	}
}

// checkRow compares values and default of a key that is acted on.
func checkRow(t *testing.T, key string, row []string, field leaf) {
	t.Helper()
	for _, word := range field.Enum {
		if !strings.Contains(row[1], "`"+word+"`") {
			t.Errorf("%s: %s: the value %q is missing", studyPage, key, word)
		}
	}
	want := field.Default
	if list, ok := want.([]any); ok {
		want = list[0]
	}
	if got := strings.Trim(row[2], "`"); want != nil && got != fmt.Sprint(want) {
		t.Errorf("%s: %s: the default is %v, the page says %q", studyPage, key, want, got)
	}
	if want == nil && strings.Contains(row[2], "`") {
		t.Errorf("%s: %s: it has no default, the page says %s", studyPage, key, row[2])
	}
}

func TestSettings(t *testing.T) {
	all := sourceKeys(t, "core/study/user.go")
	if len(all) == 0 {
		t.Fatal("no key was found in core/study/user.go")
	}
	var documented []string
	for _, row := range rows(read(t, studyPage), "Setting") {
		key := strings.Trim(row[0], "`")
		documented = append(documented, key)
		if !slices.Contains(all, key) {
			t.Errorf("%s: %q is no setting", studyPage, key)
		}
	}
	for _, key := range all {
		if !slices.Contains(documented, key) {
			t.Errorf("%s: the setting %s is missing", studyPage, key)
		}
	}
}
