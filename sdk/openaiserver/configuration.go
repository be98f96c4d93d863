package openaiserver

import (
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// InFile is told in the server's own configuration file, at a path with dots
// between its keys. The engine writes that file, from Configuration.
func InFile(path string, p sdk.Parameter) Parameter {
	return Parameter{Parameter: p, name: path, form: formFile}
}

// Configuration is what the settings say in the server's own file, as tables in
// tables.
func Configuration(table []Parameter, settings sdk.Table) sdk.Table {
	config := sdk.Table{}
	for _, p := range table {
		value, given := settings[p.Key]
		if !given || p.form != formFile {
			continue
		}
		at := config
		keys := strings.Split(p.name, ".")
		for _, key := range keys[:len(keys)-1] {
			below, ok := at[key].(sdk.Table)
			if !ok {
				below = sdk.Table{}
				at[key] = below
			}
			at = below
		}
		at[keys[len(keys)-1]] = value
	}
	return config
}

// short is what a table's own checker calls a parameter in its complaints: it knows
// the last key alone.
func short(p Parameter) []string {
	if p.form != formFile {
		return nil
	}
	return []string{p.name[strings.LastIndexByte(p.name, '.')+1:]}
}
