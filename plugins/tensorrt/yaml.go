package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// yaml renders tables in tables as a YAML document in which every reader, of YAML
// 1.1 or 1.2, finds the same values: texts are quoted, floats have a point and a
// signed exponent.
func yaml(tables map[string]any) string {
	if len(tables) == 0 {
		return "{}\n"
	}
	var b strings.Builder
	block(&b, tables, "")
	return b.String()
}

func block(b *strings.Builder, tables map[string]any, indent string) {
	for _, key := range slices.Sorted(maps.Keys(tables)) {
		b.WriteString(indent + name(key) + ":")
		if below, ok := tables[key].(map[string]any); ok && len(below) > 0 {
			b.WriteByte('\n')
			block(b, below, indent+"  ")
			continue
		}
		b.WriteString(" " + scalar(tables[key]) + "\n")
	}
}

// scalar is a value on one line; lists, and tables in them, are in brackets.
func scalar(value any) string {
	var parts []string
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return quoted(v)
	case float64:
		return float(v)
	case []any:
		for _, element := range v {
			parts = append(parts, scalar(element))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, quoted(key)+": "+scalar(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(value) // a bool or an integer
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+$`)

// name is a key. A single word could be one that YAML 1.1 takes for a bool.
func name(key string) string {
	if plainName.MatchString(key) {
		return key
	}
	return quoted(key)
}

// quoted relies on it that JSON's texts are YAML's.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(text)
}

func float(v float64) string {
	text := strconv.FormatFloat(v, 'e', -1, 64)
	if !strings.Contains(text, ".") {
		text = strings.Replace(text, "e", ".0e", 1)
	}
	if short := strconv.FormatFloat(v, 'f', -1, 64); len(short) <= len(text) {
		text = short
		if !strings.Contains(text, ".") {
			text += ".0"
		}
	}
	return text
}
