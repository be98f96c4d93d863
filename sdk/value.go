package sdk

import (
	"fmt"
	"math"
)

// Table holds parameter values by key. A value is one of bool, int64,
// float64, string, []any (of these) and Table. Integers keep all 64 bits on
// their way between processes.
type Table map[string]any

// Bool returns the value of key, or fallback where the table has none.
// The accessors panic on a value of another type: the schema has been checked
// before a plugin sees a table, so that is a fault of the plugin.
func (t Table) Bool(key string, fallback bool) bool { return lookup(t, key, fallback) }

// Int returns the value of key, or fallback where the table has none.
func (t Table) Int(key string, fallback int64) int64 { return lookup(t, key, fallback) }

// String returns the value of key, or fallback where the table has none.
func (t Table) String(key string, fallback string) string { return lookup(t, key, fallback) }

// Float returns the value of key, or fallback where the table has none. An
// integer is taken as the float it equals: a study may write 1 for 1.0.
func (t Table) Float(key string, fallback float64) float64 {
	if n, ok := t[key].(int64); ok {
		return float64(n)
	}
	return lookup(t, key, fallback)
}

// Table returns the table under key; nil where there is none.
func (t Table) Table(key string) Table { return lookup[Table](t, key, nil) }

// List returns the list under key; nil where there is none.
func (t Table) List(key string) []any { return lookup[[]any](t, key, nil) }

func lookup[T any](t Table, key string, fallback T) T {
	value, ok := t[key]
	if !ok {
		return fallback
	}
	typed, ok := value.(T)
	if !ok {
		panic(fmt.Sprintf("sdk: parameter %q holds %T, read as %T", key, value, fallback))
	}
	return typed
}

// Normalize returns v in the value types of Table: all integer types become
// int64, map[string]any becomes Table. Values of other types, NaN and
// infinities are errors.
func Normalize(v any) (any, error) {
	switch x := v.(type) {
	case bool, string, int64:
		return x, nil
	case int:
		return int64(x), nil
	case int32:
		return int64(x), nil
	case uint32:
		return int64(x), nil
	case float32:
		return Normalize(float64(x))
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%v is no usable number", x)
		}
		return x, nil
	case []any:
		list := make([]any, len(x))
		for i, element := range x {
			normal, err := Normalize(element)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			list[i] = normal
		}
		return list, nil
	case Table:
		return normalizeTable(x)
	case map[string]any:
		return normalizeTable(x)
	}
	return nil, fmt.Errorf("a value of type %T cannot be a parameter", v)
}

func normalizeTable(m map[string]any) (Table, error) {
	table := make(Table, len(m))
	for key, value := range m {
		normal, err := Normalize(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		table[key] = normal
	}
	return table, nil
}
