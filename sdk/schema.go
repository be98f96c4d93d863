package sdk

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// CheckTable judges a table against a schema: unknown keys, missing keys,
// wrong types, values outside their bounds. Key paths are relative to the
// table. It returns every finding, in the order of the keys.
func CheckTable(schema []Parameter, table Table) []Diagnostic {
	var found []Diagnostic
	checkTable("", schema, table, &found)
	slices.SortStableFunc(found, func(a, b Diagnostic) int { return strings.Compare(a.KeyPath, b.KeyPath) })
	return found
}

func checkTable(prefix string, schema []Parameter, table Table, found *[]Diagnostic) {
	known := map[string]Parameter{}
	for _, p := range schema {
		known[p.Key] = p
		if _, given := table[p.Key]; p.Required && !given {
			*found = append(*found, Diagnostic{
				Severity: SeverityError, KeyPath: prefix + p.Key,
				Message: fmt.Sprintf("required %s is missing", p.Type), Advice: p.Description,
			})
		}
	}
	for key, value := range table {
		p, ok := known[key]
		if !ok {
			*found = append(*found, unknownKey(prefix, key, schema))
			continue
		}
		checkValue(prefix+key, p, value, found)
	}
}

// CheckSecrets refuses a schema with a secret inside a table, and names its
// dotted path. Secrets leave their table by key before anything is recorded;
// one below the top would stay in it and reach neither Load nor Open.
func CheckSecrets(schema []Parameter) error {
	for _, p := range schema {
		if path := innerSecret(p.Key, p.Children); path != "" {
			return fmt.Errorf("parameter %s: a secret inside a table is never resolved; it has to stand at the top of the plugin's parameters", path)
		}
	}
	return nil
}

func innerSecret(prefix string, schema []Parameter) string {
	for _, p := range schema {
		path := prefix + "." + p.Key
		if p.Secret {
			return path
		}
		if inner := innerSecret(path, p.Children); inner != "" {
			return inner
		}
	}
	return ""
}

func unknownKey(prefix, key string, schema []Parameter) Diagnostic {
	names := make([]string, len(schema))
	for i, p := range schema {
		names[i] = p.Key
	}
	d := Diagnostic{Severity: SeverityError, KeyPath: prefix + key, Message: "unknown key"}
	if near := Nearest(key, names); near != "" {
		d.Advice = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) > 0 {
		slices.Sort(names)
		d.Advice = "known keys: " + strings.Join(names, ", ")
	} else {
		d.Advice = "this plugin takes no keys"
	}
	return d
}

func checkValue(path string, p Parameter, value any, found *[]Diagnostic) {
	refuse := func(format string, args ...any) {
		*found = append(*found, Diagnostic{
			Severity: SeverityError, KeyPath: path, Message: fmt.Sprintf(format, args...), Advice: p.Description,
		})
	}
	if p.Secret {
		if reference, ok := value.(Table); !ok || !isReference(reference) {
			refuse(`a secret is given as {env = "NAME"} or {file = "PATH"}, never as the value itself`)
		}
		return
	}
	if !hasType(p.Type, value) {
		refuse("expected %s, found %s%s", p.Type, typeName(value), rightForm(p, value))
		return
	}
	switch p.Type {
	case TypeTable:
		checkTable(path+".", p.Children, value.(Table), found)
	case TypeList:
		for i, element := range value.([]any) {
			if p.Element != "" && !hasType(p.Element, element) {
				refuse("element %d: expected %s, found %s", i+1, p.Element, typeName(element))
			}
		}
	}
	if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(allowed any) bool { return sameValue(allowed, value) }) {
		refuse("%s is not one of %s%s", show(value), showAll(p.Enum), suggest(value, p.Enum))
	}
	if number, ok := asFloat(value); ok {
		if low, ok := asFloat(p.Min); ok && number < low {
			refuse("%s is below the least value %s", show(value), show(p.Min))
		}
		if high, ok := asFloat(p.Max); ok && number > high {
			refuse("%s is above the greatest value %s", show(value), show(p.Max))
		}
	}
}

// rightForm shows how to write a value that is only written in the wrong form: a
// whole number with a point, or one element without the list around it.
func rightForm(p Parameter, value any) string {
	x, float := value.(float64)
	switch {
	case p.Type == TypeInt && float && x == math.Trunc(x) && math.Abs(x) < 1<<53:
		return fmt.Sprintf("; write %.0f", x)
	case p.Type == TypeList && p.Element != "" && hasType(p.Element, value):
		return "; write [" + show(value) + "]"
	}
	return ""
}

func isReference(t Table) bool {
	if len(t) != 1 {
		return false
	}
	return t.isText("env") || t.isText("file")
}

func (t Table) isText(key string) bool {
	text, ok := t[key].(string)
	return ok && text != ""
}

func hasType(want ParameterType, value any) bool {
	switch value.(type) {
	case bool:
		return want == TypeBool
	case int64:
		return want == TypeInt || want == TypeFloat
	case float64:
		return want == TypeFloat
	case string:
		return want == TypeString
	case []any:
		return want == TypeList
	case Table:
		return want == TypeTable || want == TypeFreeTable
	}
	return false
}

func typeName(value any) string {
	switch value.(type) {
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "string"
	case []any:
		return "list"
	case Table:
		return "table"
	}
	return fmt.Sprintf("%T", value)
}

// asFloat returns a number for comparing with bounds. Schema values may be
// untyped Go ints.
func asFloat(value any) (float64, bool) {
	switch x := value.(type) {
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

func sameValue(a, b any) bool {
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	return a == b
}

func show(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}

func showAll(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = show(v)
	}
	return strings.Join(texts, ", ")
}

func suggest(value any, enum []any) string {
	text, ok := value.(string)
	if !ok {
		return ""
	}
	var names []string
	for _, v := range enum {
		if s, ok := v.(string); ok {
			names = append(names, s)
		}
	}
	if near := Nearest(text, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Nearest returns the name nearest to word, if its Levenshtein distance is at
// most a third of the word's length (and at least 2 are always allowed);
// otherwise "".
func Nearest(word string, names []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, name := range names {
		if d := editDistance(word, name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
