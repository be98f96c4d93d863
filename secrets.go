package llem

import (
	"fmt"
	"os"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// resolveSecrets reads the secrets of every backend instance in use: values
// that a study gives as {env = "NAME"} or {file = "PATH"}. They go to the
// plugin with its Load and nowhere else.
func resolveSecrets(p *Prepared) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for _, cell := range p.Cells {
		if all[cell.Instance] != nil {
			continue
		}
		secrets, _, err := splitSecrets("backends."+cell.Instance, p.schemas[cell.Plugin].BackendSchema, cell.Parameters)
		if err != nil {
			return nil, err
		}
		all[cell.Instance] = secrets
	}
	return all, nil
}

// splitSecrets takes the secret keys out of a table and reads their values.
func splitSecrets(section string, schema []sdk.Parameter, table map[string]any) (map[string]string, sdk.Table, error) {
	secrets, rest := map[string]string{}, sdk.Table{}
	for key, value := range table {
		rest[key] = value
	}
	for _, parameter := range schema {
		reference, given := table[parameter.Key]
		if !parameter.Secret || !given {
			continue
		}
		value, err := readSecret(reference)
		if err != nil {
			return nil, nil, fmt.Errorf("%s.%s: %w", section, parameter.Key, err)
		}
		secrets[parameter.Key] = value
		delete(rest, parameter.Key)
	}
	return secrets, rest, nil
}

func readSecret(reference any) (string, error) {
	normal, err := sdk.Normalize(reference)
	if err != nil {
		return "", err
	}
	table, ok := normal.(sdk.Table)
	if !ok {
		return "", fmt.Errorf(`a secret is given as {env = "NAME"} or {file = "PATH"}`)
	}
	if name := table.String("env", ""); name != "" {
		value, set := os.LookupEnv(name)
		if !set || value == "" {
			return "", fmt.Errorf("the environment variable %s is not set; set it before `llem run`", name)
		}
		return value, nil
	}
	path := table.String("file", "")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
