package study

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSchema checks the JSON schema against the table of keys and the rules of
// draft 4.
func TestSchema(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if root["$schema"] != "http://json-schema.org/draft-04/schema#" {
		t.Errorf("$schema = %v", root["$schema"])
	}
	acted := 0
	for _, f := range studyFields {
		leaf := schemaAt(root, f.key)
		if f.unused != "" {
			if leaf != nil {
				t.Errorf("%s: this version does not act on it, and the schema has it", f.key)
			}
			continue
		}
		acted++
		if leaf == nil {
			t.Errorf("%s is not in the schema", f.key)
			continue
		}
		if leaf["description"] != f.doc || f.doc == "" {
			t.Errorf("%s: description %q", f.key, leaf["description"])
		}
		if value := reflect.ValueOf(f.at(defaults())).Elem(); value.IsZero() == (leaf["default"] != nil) {
			t.Errorf("%s: default %v in the schema, %v in reading", f.key, leaf["default"], value)
		} else if text := canonicalText(leaf["default"]); !value.IsZero() && text != canonicalText(value.Interface()) {
			t.Errorf("%s: default %s in the schema, %v in reading", f.key, text, value)
		}
		if enum, _ := leaf["enum"].([]any); len(enum) != len(f.enum) {
			t.Errorf("%s: enum %v, want %v", f.key, enum, f.enum)
		}
	}
	if acted == 0 {
		t.Error("no field is acted upon")
	}
	for _, table := range []string{"backends", "sources", "sweep", "experiments"} {
		if schemaAt(root, table) == nil {
			t.Errorf("%s is not in the schema", table)
		}
	}
	checkDraft4(t, "", root)
}

func schemaAt(schema map[string]any, key string) map[string]any {
	for part := range strings.SplitSeq(key, ".") {
		properties, _ := schema["properties"].(map[string]any)
		schema, _ = properties[part].(map[string]any)
		if schema == nil {
			return nil
		}
	}
	return schema
}

// checkDraft4 allows the keywords that the schema needs, as draft 4 has them.
func checkDraft4(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	for keyword, value := range schema {
		ok := false
		switch keyword {
		case "$schema", "title", "description":
			_, ok = value.(string)
		case "default":
			ok = value != nil
		case "type":
			name, _ := value.(string)
			ok = slices.Contains([]string{"string", "integer", "number", "boolean", "array", "object"}, name)
		case "minimum", "maximum":
			_, ok = value.(float64)
		case "exclusiveMinimum": // a boolean beside minimum, unlike in later drafts
			_, ok = value.(bool)
			ok = ok && schema["minimum"] != nil
		case "enum", "required":
			list, isList := value.([]any)
			ok = isList && len(list) > 0
		case "items":
			inner, isSchema := value.(map[string]any)
			ok = isSchema
			checkDraft4(t, at+"/items", inner)
		case "additionalProperties":
			switch inner := value.(type) {
			case bool:
				ok = true
			case map[string]any:
				ok = true
				checkDraft4(t, at+"/additionalProperties", inner)
			}
		case "properties":
			properties, isTable := value.(map[string]any)
			ok = isTable
			for name, inner := range properties {
				table, isSchema := inner.(map[string]any)
				ok = ok && isSchema
				checkDraft4(t, at+"/"+name, table)
			}
		}
		if !ok {
			t.Errorf("%s: %s = %v is not of draft 4", at, keyword, value)
		}
	}
	if schema["type"] == nil {
		t.Errorf("%s has no type", at)
	}
}

// TestSchemaBounds compares one key of each kind with what reading enforces.
func TestSchemaBounds(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	window := schemaAt(root, "protocol.window_s")
	if window["type"] != "number" || window["minimum"] != 0.0 || window["exclusiveMinimum"] != true || window["maximum"] != 86400.0 {
		t.Errorf("protocol.window_s: %v", window)
	}
	requests := schemaAt(root, "workload.requests")
	if requests["type"] != "integer" || requests["minimum"] != 1.0 || requests["exclusiveMinimum"] != nil {
		t.Errorf("workload.requests: %v", requests)
	}
	if energy := schemaAt(root, "energy"); energy["type"] != "array" {
		t.Errorf("energy: %v", energy)
	}
}

func TestFieldTable(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range studyFields {
		if seen[f.key] {
			t.Errorf("%s comes twice", f.key)
		}
		seen[f.key] = true
		if !strings.HasSuffix(f.doc, ".") {
			t.Errorf("%s: documentation %q", f.key, f.doc)
		}
		if dot := strings.IndexByte(f.key, '.'); dot >= 0 && !slices.Contains(sections, f.key[:dot]) {
			t.Errorf("%s: its table is missing from sections", f.key)
		}
	}
}

func TestExample(t *testing.T) {
	cells := expand(t, string(Example()))
	if len(cells) != 2 || cells[0].Parameters["weight_type"] != "f16" || cells[1].Parameters["weight_type"] != "q8_0" {
		t.Errorf("cells %v", labels(cells))
	}
}
