package openaiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// Check implements sdk.Checker.
func (b *backend) Check(_ context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	checks := make([]sdk.CellCheck, len(cells))
	for i, cell := range cells {
		checks[i] = b.engine.judge(cell, depth)
	}
	return checks, nil
}

func (e *Engine) judge(cell sdk.Cell, depth sdk.Depth) sdk.CellCheck {
	check := sdk.CellCheck{CellID: cell.ID, Abilities: e.abilities()}
	for _, d := range sdk.CheckTable(e.schema(), cell.Parameters) {
		if d.Severity == sdk.SeverityError {
			return check // the schema's findings are reported without our help
		}
	}
	settings := e.settings(cell.Parameters)
	if attached(settings) {
		check.Diagnostics = e.judgeAttached(cell, settings)
		return check
	}
	if e.Devices != nil {
		check.Devices = e.Devices(cell)
	}
	if _, given := cell.Parameters[urlKey]; given {
		check.Diagnostics = append(check.Diagnostics, dormant(urlKey, `only mode = "attach" has an address`))
	}
	if _, given := cell.Parameters[deviceKey]; given && e.kitsDevice() {
		check.Diagnostics = append(check.Diagnostics, dormant(deviceKey, `only a server with mode = "attach" is asked about`))
	}
	if err := checkImage(settings.String(containerKey, "")); err != nil {
		check.Diagnostics = append(check.Diagnostics, refusal(err, containerKey))
	}
	if modelOf(cell) == "" {
		check.Diagnostics = append(check.Diagnostics, sdk.Diagnostic{
			Severity: sdk.SeverityError, KeyPath: "model.id", Message: "no model is named", Advice: "set model.id or model.path",
		})
	}
	if e.Check != nil {
		check.Diagnostics = append(check.Diagnostics, e.Check(cell)...)
	}
	if depth == sdk.DepthEnvironment && !check.Refused() {
		check.Diagnostics = append(check.Diagnostics, e.look(cell, settings)...)
	}
	return check
}

// judgeAttached says which parameters would be without effect. The device is what the
// study says where nothing else tells.
func (e *Engine) judgeAttached(cell sdk.Cell, settings sdk.Table) (found []sdk.Diagnostic) {
	if err := checkURL(settings); err != nil {
		found = append(found, refusal(err, urlKey))
	}
	for _, p := range e.table() {
		if _, given := cell.Parameters[p.Key]; given && p.Key != deviceKey && (p.form != formOwn || slices.Contains([]string{extraKey, envKey, containerKey, runtimeKey}, p.Key)) {
			found = append(found, dormant(p.Key, "the server runs already with parameters of its own"))
		}
	}
	return found
}

func dormant(key, message string) sdk.Diagnostic {
	return sdk.Diagnostic{Severity: sdk.SeverityDormant, KeyPath: key, Message: message}
}

// look holds the cell against this machine's files.
func (e *Engine) look(cell sdk.Cell, settings sdk.Table) (found []sdk.Diagnostic) {
	if path := cell.Model.Path; path != "" {
		if _, err := os.Stat(path); err != nil {
			found = append(found, sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: "model.path", Message: err.Error(), Advice: "name a file or directory that is there"})
		}
	}
	var argv []string
	box, err := newContainer(settings)
	if err == nil {
		argv, _, err = e.commandLine(Launch{Request: sdk.LoadRequest{Cell: cell}, Settings: settings, Host: loopback, Port: 1}, box)
	}
	if err == nil {
		if _, lookErr := exec.LookPath(argv[0]); lookErr != nil {
			err = missing(argv[0], fmt.Errorf("the server's program: %w", lookErr))
		}
	}
	if err != nil {
		found = append(found, refusal(err, ""))
	}
	return found
}

func refusal(err error, key string) sdk.Diagnostic {
	var e *sdk.Error
	if errors.As(err, &e) {
		return sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: e.KeyPath, Message: e.Message, Advice: e.Advice}
	}
	return sdk.Diagnostic{Severity: sdk.SeverityError, KeyPath: key, Message: err.Error()}
}
