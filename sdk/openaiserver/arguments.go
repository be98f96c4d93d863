package openaiserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// Parameter is a key of the study and how the server is told. Build it with Flag,
// Switch, JSON, Env, InFile or Own.
type Parameter struct {
	sdk.Parameter
	name string // of the flag or variable, or path in the file
	off  string // flag for false
	form form
}

type form int

const (
	formOwn form = iota
	formFlag
	formSwitch
	formJSON
	formEnv
	formFile
)

// Flag is told as two arguments: the flag and the value. Elements of a list
// follow it each on their own.
func Flag(flag string, p sdk.Parameter) Parameter {
	return Parameter{Parameter: p, name: flag, form: formFlag}
}

// Switch is a flag without a value: on for true, off for false. Either may be "".
func Switch(on, off string, p sdk.Parameter) Parameter {
	return Parameter{Parameter: p, name: on, off: off, form: formSwitch}
}

// JSON is a flag whose value is the table or list as one JSON text.
func JSON(flag string, p sdk.Parameter) Parameter {
	return Parameter{Parameter: p, name: flag, form: formJSON}
}

// Env is told in the server's environment.
func Env(variable string, p sdk.Parameter) Parameter {
	return Parameter{Parameter: p, name: variable, form: formEnv}
}

// Own is for Engine.Command alone.
func Own(p sdk.Parameter) Parameter { return Parameter{Parameter: p} }

// Flags are those of the server's command line; none for other forms.
func (p Parameter) Flags() (flags []string) {
	for _, flag := range []string{p.name, p.off} {
		if flag != "" && (p.form == formFlag || p.form == formSwitch || p.form == formJSON) {
			flags = append(flags, flag)
		}
	}
	return flags
}

// extraKey holds arguments that the table does not have.
const extraKey = "extra_args"

// arguments renders what the settings say, in the table's order.
func arguments(table []Parameter, settings sdk.Table) (args, env []string, err error) {
	for _, p := range table {
		value, given := settings[p.Key]
		if !given {
			continue
		}
		switch p.form {
		case formFlag:
			args = append(args, p.name)
			if list, ok := value.([]any); ok {
				for _, v := range list {
					args = append(args, text(v))
				}
				continue
			}
			args = append(args, text(value))
		case formSwitch:
			flag := p.off
			if value == true {
				flag = p.name
			}
			if flag != "" {
				args = append(args, flag)
			}
		case formJSON:
			encoded, err := json.Marshal(plain(value))
			if err != nil {
				return nil, nil, &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: p.Key, Message: err.Error()}
			}
			args = append(args, p.name, string(encoded))
		case formEnv:
			env = append(env, p.name+"="+text(value))
		}
	}
	for _, v := range settings.List(extraKey) {
		args = append(args, text(v))
	}
	return args, append(env, variables(settings)...), nil
}

// variables are those of the study's own.
func variables(settings sdk.Table) (env []string) {
	further := settings.Table(envKey)
	for _, name := range slices.Sorted(maps.Keys(further)) {
		env = append(env, name+"="+text(further[name]))
	}
	return env
}

// text is a value as an argument.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(value)
}

// plain gives whole floats a point, which JSON leaves out and strict readers of
// numbers want.
func plain(value any) any {
	switch v := value.(type) {
	case float64:
		written := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(written, ".e") {
			written += ".0"
		}
		return json.RawMessage(written)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case sdk.Table:
		table := make(map[string]any, len(v))
		for key := range v {
			table[key] = plain(v[key])
		}
		return table
	}
	return value
}

// keyOf returns the key whose flag or path a line names, or "". The longest flag wins:
// --max-num-seqs is not --max-num.
func keyOf(table []Parameter, line string) string {
	key, longest := "", 0
	for _, spellings := range []func(Parameter) []string{whole, short} {
		for _, p := range table {
			for _, flag := range spellings(p) {
				if len(flag) > longest && p.form != formOwn && mentions(line, flag) {
					key, longest = p.Key, len(flag)
				}
			}
		}
		if key != "" {
			break
		}
	}
	return key
}

func whole(p Parameter) []string { return []string{p.name, p.off} }

// mentions tells whether the flag stands in the line on its own.
func mentions(line, flag string) bool {
	for at := 0; flag != ""; {
		i := strings.Index(line[at:], flag)
		if i < 0 {
			return false
		}
		begin, end := at+i, at+i+len(flag)
		if (begin == 0 || !inFlag(line[begin-1])) && (end == len(line) || !inFlag(line[end])) {
			return true
		}
		at = end
	}
	return false
}

func inFlag(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
