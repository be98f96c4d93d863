package plugintest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// reservedKeys belong to the study: they say which plugin is meant.
var reservedKeys = []string{"plugin", "version"}

var keyPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

func schemaSound(ctx context.Context, s *suite) error {
	return s.with(ctx, "", func(p *host.Plugin) error {
		d := p.Description()
		var wrong []error
		for _, part := range []struct {
			kind   sdk.Kind
			schema []sdk.Parameter
		}{{sdk.KindBackend, d.BackendSchema}, {sdk.KindEnergySource, d.SourceSchema}} {
			if len(part.schema) > 0 && !slices.Contains(d.Kinds, part.kind) {
				wrong = append(wrong, fmt.Errorf("there are parameters of a kind that is not served: %s", part.kind))
			}
			for _, parameter := range part.schema {
				if slices.Contains(reservedKeys, parameter.Key) {
					wrong = append(wrong, fmt.Errorf("%s: the key is reserved for the study", parameter.Key))
				}
			}
			if err := sdk.CheckSecrets(part.schema); err != nil {
				wrong = append(wrong, err)
			}
			wrong = append(wrong, judgeSchema("", part.schema)...)
		}
		return errors.Join(wrong...)
	})
}

func judgeSchema(prefix string, schema []sdk.Parameter) []error {
	var wrong []error
	seen := map[string]bool{}
	for _, p := range schema {
		if seen[p.Key] {
			wrong = append(wrong, fmt.Errorf("%s%s: the key occurs twice", prefix, p.Key))
		}
		seen[p.Key] = true
		for _, problem := range judgeParameter(p) {
			wrong = append(wrong, fmt.Errorf("%s%s: %w", prefix, p.Key, problem))
		}
		wrong = append(wrong, judgeSchema(prefix+p.Key+".", p.Children)...)
	}
	return wrong
}

var knownTypes = []sdk.ParameterType{
	sdk.TypeBool, sdk.TypeInt, sdk.TypeFloat, sdk.TypeString, sdk.TypeList, sdk.TypeTable, sdk.TypeFreeTable,
}

func judgeParameter(p sdk.Parameter) []error {
	var wrong []error
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	number := p.Type == sdk.TypeInt || p.Type == sdk.TypeFloat
	expect(keyPattern.MatchString(p.Key), "the key must be letters, digits, _ and -, a letter first")
	expect(slices.Contains(knownTypes, p.Type), "the type %q is not one of the contract's", p.Type)
	expect(p.Role == sdk.RoleMeasurement || p.Role == sdk.RoleMachine || p.Role == sdk.RoleExecution, "the role %q is not one of the contract's", p.Role)
	expect(p.Description != "", "the doc is empty")
	expect(!p.Secret || !p.Sweepable, "a secret cannot be sweepable")
	expect(!p.Secret || p.Default == nil, "a secret cannot have a default")
	expect(!p.Sweepable || p.Role == sdk.RoleMeasurement, "only measurement parameters can be sweepable")
	expect(!p.Required || p.Default == nil, "a required parameter cannot have a default")
	expect(number || p.Min == nil && p.Max == nil, "only a number can have bounds")
	expect(p.Type == sdk.TypeTable || len(p.Children) == 0, "only a table can have keys of its own")
	expect(p.Type != sdk.TypeList || p.Element == "" || slices.Contains(knownTypes, p.Element), "the element type %q is not one of the contract's", p.Element)
	// A value of the schema must be one that a study could write.
	admitted := func(what string, value any) {
		p := p
		p.Secret = false
		if p.Type == sdk.TypeList || p.Type == sdk.TypeTable || p.Type == sdk.TypeFreeTable {
			p.Enum = nil // refused below
		}
		for _, d := range sdk.CheckTable([]sdk.Parameter{p}, sdk.Table{p.Key: value}) {
			expect(d.Severity != sdk.SeverityError, "the %s %v: %s", what, value, d.Message)
		}
	}
	if p.Default != nil {
		admitted("default", p.Default)
	}
	if scalar := number || p.Type == sdk.TypeBool || p.Type == sdk.TypeString; !scalar {
		expect(len(p.Enum) == 0, "only a bool, a number or a string can be one of given values")
		return wrong
	}
	for _, value := range p.Enum {
		admitted("enum's value", value)
	}
	if len(p.Enum) == 0 && p.Min != nil {
		admitted("least value", p.Min)
	}
	if len(p.Enum) == 0 && p.Max != nil {
		admitted("greatest value", p.Max)
	}
	return wrong
}
