package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// assign checks a value against its field and stores it in target. The error
// is a sentence about the value.
func (f field[T]) assign(target *T, value any) error {
	switch at := f.at(target).(type) {
	case *string:
		text, ok := value.(string)
		if !ok {
			return wrongType("a string", value)
		}
		if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
			return oneOf(text, f.enum)
		}
		if f.required && strings.TrimSpace(text) == "" {
			return fmt.Errorf("it is empty")
		}
		*at = text
	case *bool:
		yes, ok := value.(bool)
		if !ok {
			return wrongType("true or false", value)
		}
		*at = yes
	case *int:
		n, ok := value.(int64)
		if !ok {
			return noInteger(value)
		}
		if err := f.inside(float64(n)); err != nil {
			return err
		}
		*at = int(n)
	case *int64:
		n, ok := value.(int64)
		if !ok {
			return noInteger(value)
		}
		*at = n
	case *float64:
		number, ok := value.(float64)
		if n, isInt := value.(int64); isInt {
			number, ok = float64(n), true
		}
		if !ok {
			return wrongType("a number", value)
		}
		if math.IsNaN(number) || math.IsInf(number, 0) {
			return fmt.Errorf("%v is no usable number", number)
		}
		if err := f.inside(number); err != nil {
			return err
		}
		*at = number
	case *[]string:
		list, ok := value.([]any)
		if text, one := value.(string); one {
			return fmt.Errorf("%w; write [%q]", wrongType("a list of strings", value), shorten(text))
		}
		if !ok {
			return wrongType("a list of strings", value)
		}
		var texts []string
		for _, element := range list {
			text, ok := element.(string)
			if !ok || text == "" {
				return wrongType("a list of strings", element)
			}
			texts = append(texts, text)
		}
		*at = texts
	case *map[string]float64:
		table, ok := value.(map[string]any)
		if !ok {
			return wrongType("a table of numbers", value)
		}
		out := map[string]float64{}
		for key, v := range table {
			number, ok := v.(float64)
			if n, isInt := v.(int64); isInt {
				number, ok = float64(n), true
			}
			switch {
			case !strings.HasPrefix(key, "GPU-") && !strings.HasPrefix(key, "MIG-"):
				return entryError{key, fmt.Errorf("%q is no UUID of a GPU, such as GPU-8f6a2f5e-0000-0000-0000-000000000000; `nvidia-smi -L` lists them", shorten(key))}
			case !ok || !(number > 0) || number > *f.max:
				return entryError{key, fmt.Errorf("expected a number above 0, at most %v, found %s", *f.max, describe(v))}
			}
			out[key] = number
		}
		*at = out
	default:
		panic(fmt.Sprintf("study: field %s has a target of type %T", f.key, at))
	}
	return nil
}

func (f field[T]) inside(v float64) error {
	switch {
	case f.above != nil && v <= *f.above:
		return fmt.Errorf("%v: expected more than %v", v, *f.above)
	case f.min != nil && v < *f.min:
		return fmt.Errorf("%v: expected at least %v", v, *f.min)
	case f.max != nil && v > *f.max:
		return fmt.Errorf("%v: expected at most %v", v, *f.max)
	}
	return nil
}

func wrongType(want string, value any) error {
	return fmt.Errorf("expected %s, found %s", want, describe(value))
}

// noInteger is wrongType that says how to write a decimal number that is whole.
func noInteger(value any) error {
	err := wrongType("an integer", value)
	if x, ok := value.(float64); ok && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		err = fmt.Errorf("%w; write %.0f", err, x)
	}
	return err
}

func oneOf(text string, enum []string) error {
	message := fmt.Sprintf("%q: expected one of %s", shorten(text), strings.Join(enum, ", "))
	if near := sdk.Nearest(text, enum); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("%s", message)
}

// shorten cuts a text that would fill a message.
func shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// describe names a value of a TOML file.
func describe(value any) string {
	switch x := value.(type) {
	case string:
		return fmt.Sprintf("the string %q", shorten(x))
	case bool:
		return fmt.Sprintf("the boolean %v", x)
	case int64:
		return fmt.Sprintf("the integer %d", x)
	case float64:
		// Without its point a whole number would look like the integer that it is not.
		if text := fmt.Sprint(x); x == math.Trunc(x) && !strings.ContainsAny(text, "eI") {
			return "the decimal number " + text + ".0"
		}
		return fmt.Sprintf("the number %v", x)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return fmt.Sprintf("a date or time (%v)", value)
}

// entryError is what is wrong with one entry of a table, which has a line of its own.
type entryError struct {
	key string
	error
}

func (e entryError) Unwrap() error { return e.error }
