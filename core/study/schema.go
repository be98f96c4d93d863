package study

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
)

//go:embed example.toml
var example []byte

// Example returns a commented study file to start from.
func Example() []byte { return example }

// Schema returns the JSON schema of study files, in the draft that editors'
// TOML support understands (draft 4).
func Schema() []byte {
	root, base := object(false), defaults()
	properties := root["properties"].(map[string]any)
	for _, f := range studyFields {
		if f.unused != "" {
			continue
		}
		at := properties
		parts := strings.Split(f.key, ".")
		for _, part := range parts[:len(parts)-1] {
			table, ok := at[part].(map[string]any)
			if !ok {
				table = object(false)
				at[part] = table
			}
			at = table["properties"].(map[string]any)
		}
		leaf := f.schema()
		// The profile gives the times of the protocol, which are 0 here.
		if value := reflect.ValueOf(f.at(base)).Elem(); !value.IsZero() {
			leaf["default"] = value.Interface()
		}
		at[parts[len(parts)-1]] = leaf
	}
	properties["backends"] = map[string]any{"type": "object", "additionalProperties": instance(), "description": "Instances of backends: a plugin's name, or another name with `plugin`."}
	properties["sources"] = map[string]any{"type": "object", "additionalProperties": instance(), "description": "Instances of energy sources."}
	properties["sweep"] = map[string]any{"type": "object", "description": "Each key is the path of the key that it varies, with a list of values; groups hold named alternatives."}
	properties["experiments"] = map[string]any{"type": "object", "additionalProperties": object(true), "description": "Explicit cells beside the sweep."}
	root["$schema"] = "http://json-schema.org/draft-04/schema#"
	root["title"] = "llem study"
	root["required"] = []string{"name"}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("study: the schema does not encode: " + err.Error())
	}
	return append(text, '\n')
}

// instance is the schema of [backends.NAME] and [sources.NAME].
func instance() map[string]any {
	table := object(true)
	table["properties"] = map[string]any{
		"plugin":  map[string]any{"type": "string", "description": "Name of the plugin, if it is not the instance's."},
		"version": map[string]any{"type": "string", "description": "Versions of the plugin that will do, such as \">=1.0, <2\"."},
	}
	return table
}

func object(open bool) map[string]any {
	return map[string]any{"type": "object", "properties": map[string]any{}, "additionalProperties": open}
}

func (f field[T]) schema() map[string]any {
	s := map[string]any{"description": f.doc}
	var target T
	switch f.at(&target).(type) {
	case *string:
		s["type"] = "string"
		if len(f.enum) > 0 {
			s["enum"] = f.enum
		}
	case *bool:
		s["type"] = "boolean"
	case *int, *int64:
		s["type"] = "integer"
	case *float64:
		s["type"] = "number"
	case *[]string:
		s["type"], s["items"] = "array", map[string]any{"type": "string"}
	}
	if f.min != nil {
		s["minimum"] = *f.min
	}
	if f.above != nil {
		s["minimum"], s["exclusiveMinimum"] = *f.above, true
	}
	if f.max != nil {
		s["maximum"] = *f.max
	}
	return s
}
