package study

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

var instanceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// instances reads [backends.NAME] or [sources.NAME] tables.
func (r *reader) instances(section string, value any, into map[string]Instance) {
	tables, ok := value.(map[string]any)
	if !ok {
		r.noTable(section, "tables ["+section+".NAME]", value)
		return
	}
	places := r.src.byName(section)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		key := section + "." + name
		table, ok := tables[name].(map[string]any)
		if !ok {
			r.noTable(key, "a table", tables[name])
			continue
		}
		if !instanceName.MatchString(name) {
			r.fail(key, "a name has lower-case letters, digits, - and _", "")
			continue
		}
		instance := Instance{Name: name, Plugin: name, Parameters: map[string]any{}, Pos: places[name]}
		for _, parameter := range slices.Sorted(maps.Keys(table)) {
			at := key + "." + parameter
			switch parameter {
			case "plugin", "version":
				text, ok := table[parameter].(string)
				if !ok || text == "" {
					r.fail(at, wrongType("a string", table[parameter]).Error(), "")
					continue
				}
				if parameter == "plugin" {
					instance.Plugin = text
				} else {
					instance.Version = text
				}
			default:
				r.parameter(at, parameter, table[parameter], instance.Parameters)
			}
		}
		into[name] = instance
	}
}

// parameter keeps a plugin's own key, if its value is one that plugins can
// take.
func (r *reader) parameter(at, key string, value any, into map[string]any) {
	normal, err := normalize(value)
	if err != nil {
		r.fail(at, err.Error(), "")
		return
	}
	into[key] = normal
}

// normalize brings TOML values into the contract's types.
func normalize(value any) (any, error) {
	switch x := value.(type) {
	case []map[string]any:
		return nil, fmt.Errorf("arrays of tables ([[...]]) are no part of the format; use named tables, or a list of inline ones")
	case map[string]any, []any, string, bool, int64, float64:
		if deeper(x, mostDepth) {
			return nil, fmt.Errorf("it has lists or tables more than %d deep", mostDepth)
		}
		normal, err := sdk.Normalize(x)
		return normal, err
	}
	return nil, fmt.Errorf("expected a bool, number, string, list or table, found %s", describe(value))
}

// mostDepth bounds how deep a parameter's tables and lists lie in one another;
// real ones have two or three levels.
const mostDepth = 32

func deeper(value any, depth int) bool {
	switch x := value.(type) {
	case []any:
		return depth == 0 || slices.ContainsFunc(x, func(inner any) bool { return deeper(inner, depth-1) })
	case map[string]any:
		if depth == 0 {
			return true
		}
		for _, inner := range x {
			if deeper(inner, depth-1) {
				return true
			}
		}
	}
	return false
}
