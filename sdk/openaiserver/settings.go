package openaiserver

import (
	"maps"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// Keys that every engine has.
const (
	modeKey     = "mode"
	urlKey      = "url"
	apiKeyKey   = "api_key"
	timeoutKey  = "start_timeout_s"
	envKey      = "env"
	modeStart   = "start"
	modeAttach  = "attach"
	startLimitS = 1800
)

// common are the parameters of the kit itself.
func common() []Parameter {
	return []Parameter{
		Own(sdk.Text(modeKey).Or(modeStart).OneOf(modeStart, modeAttach).Fixed().
			Doc("start a server for each load, or attach to one that is running: its parameters are then its own.")),
		Own(sdk.Text(urlKey).For(sdk.RoleMachine).
			Doc(`Address of the server with mode = "attach", such as http://127.0.0.1:8000.`)),
		Own(sdk.Text(apiKeyKey).For(sdk.RoleMachine).Hidden().
			Doc("Bearer token of the server.")),
		Own(sdk.Int(timeoutKey).Unit("s").Or(startLimitS).Between(1, 86400).For(sdk.RoleExecution).
			Doc("How long a server may take until it answers.")),
		Own(sdk.List(extraKey, sdk.TypeString).
			Doc("Further arguments for the server, one a string.")),
		Own(sdk.Free(envKey).
			Doc("Further environment variables of the server.")),
	}
}

// table is all parameters.
func (e *Engine) table() []Parameter {
	table := append(append([]Parameter{}, e.Parameters...), common()...)
	if e.Containers {
		table = append(table, containerParameters()...)
	}
	if e.kitsDevice() {
		table = append(table, Own(sdk.Text(deviceKey).OneOf("cuda", "cpu").
			Doc("What an attached server computes on, if neither kernel nor driver tell.")))
	}
	return table
}

// kitsDevice tells whether the device of an engine is known only by the kit.
func (e *Engine) kitsDevice() bool {
	return e.Devices != nil && !slices.ContainsFunc(e.Parameters, func(p Parameter) bool { return p.Key == deviceKey })
}

func (e *Engine) schema() []sdk.Parameter {
	var list []sdk.Parameter
	for _, p := range e.table() {
		list = append(list, p.Parameter)
	}
	return list
}

// settings are the study's parameters and the table's defaults.
func (e *Engine) settings(given sdk.Table) sdk.Table {
	settings := sdk.Table{}
	for _, p := range e.table() {
		if p.Default == nil {
			continue
		}
		// Defaults are the author's own and of its parameter's type.
		if value, err := sdk.Normalize(p.Default); err == nil {
			settings[p.Key] = value
		}
	}
	maps.Copy(settings, given)
	delete(settings, apiKeyKey)
	return settings
}

func attached(settings sdk.Table) bool { return settings.String(modeKey, modeStart) == modeAttach }
