package llem

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// resolvedSecrets are the values of what a study gives as {env = "NAME"} or
// {file = "PATH"}. They go to the plugin with its Load or Open and nowhere
// else: results hold the references.
type resolvedSecrets struct {
	backends map[string]map[string]string // by instance and key
	sources  map[string]secretTable       // by the source's name
}

// secretTable is a table of parameters, parted.
type secretTable struct {
	secrets map[string]string
	rest    sdk.Table
}

// resolveSecrets reads the secrets of every instance in use. What cannot be
// read comes back as study.Problems.
func (p *Prepared) resolveSecrets() (resolvedSecrets, error) {
	all := resolvedSecrets{backends: map[string]map[string]string{}, sources: map[string]secretTable{}}
	found := newFindings(p.Spec)
	for _, cell := range p.Cells {
		if all.backends[cell.Instance] == nil {
			all.backends[cell.Instance] = found.secrets("backends."+cell.Instance, p.schemas[cell.Plugin].BackendSchema, cell.Parameters).secrets
		}
	}
	for _, s := range p.sources {
		all.sources[s.name] = found.secrets("sources."+s.name, p.schemas[s.plugin].SourceSchema, s.parameters)
	}
	return all, found.err()
}

// oneSecret refuses cells of one instance with different secrets: there is one
// set for an instance.
func (f *findings) oneSecret(cell, first *study.Cell, schema []sdk.Parameter) {
	for _, parameter := range schema {
		if parameter.Secret && !reflect.DeepEqual(cell.Parameters[parameter.Key], first.Parameters[parameter.Key]) {
			f.in(cell, "backends."+cell.Instance+"."+parameter.Key, "other cells of this backend have another secret",
				fmt.Sprintf("give this one a [backends.NAME] of its own, with plugin = %q", cell.Plugin))
		}
	}
}

// secrets takes the secret keys out of a table and reads their values. They
// stand at its top: the registry refuses schemas with others.
func (f *findings) secrets(section string, schema []sdk.Parameter, table map[string]any) secretTable {
	parted := secretTable{secrets: map[string]string{}, rest: maps.Clone(table)}
	for _, parameter := range schema {
		reference, given := table[parameter.Key]
		if !parameter.Secret || !given {
			continue
		}
		delete(parted.rest, parameter.Key)
		value, err := readSecret(reference)
		if err != nil {
			f.add(section+"."+parameter.Key, err.Error(), "")
		}
		parted.secrets[parameter.Key] = value
	}
	return parted
}

// readSecret reads what a reference names. That it is one was checked against
// the plugin's schema; here it is read without trusting that.
func readSecret(reference any) (string, error) {
	normal, err := sdk.Normalize(reference)
	if err != nil {
		return "", err
	}
	table, ok := normal.(sdk.Table)
	if !ok {
		return "", errors.New(`a secret is given as {env = "NAME"} or {file = "PATH"}`)
	}
	if name := table.String("env", ""); name != "" {
		value := os.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("the environment variable %s is not set; set it before `llem run`", name)
		}
		return value, nil
	}
	path := table.String("file", "")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", fmt.Errorf("the file %s, which should hold the secret, is empty", path)
	}
	return value, nil
}
