package llem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/llenergymeasure/llem/core/measure"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// checkParameters holds every cell's and source's table against its plugin's
// schema.
func (p *Prepared) checkParameters(context.Context) (study.Problems, error) {
	found := findings{spec: p.Spec}
	for _, cell := range p.Cells {
		schema := p.schemas[cell.Plugin].BackendSchema
		for _, d := range sdk.CheckTable(schema, sdk.Table(cell.Parameters)) {
			if d.Severity == sdk.SeverityError {
				found.in(&cell, "backends."+cell.Instance+"."+d.KeyPath, d.Message, d.Advice)
			}
		}
		for _, axis := range cell.Axes {
			found.sweepable(schema, cell, axis)
		}
	}
	for _, s := range p.sources {
		for _, d := range sdk.CheckTable(p.schemas[s.plugin].SourceSchema, sdk.Table(s.parameters)) {
			if d.Severity == sdk.SeverityError {
				found.add("sources."+s.name+"."+d.KeyPath, d.Message, d.Advice)
			}
		}
	}
	return found.list, nil
}

// checkStatic asks each plugin to judge its cells without touching a device.
// The verdicts are cached by the plugin's digest and the cells, so that a dry
// run starts no process.
func (p *Prepared) checkStatic(ctx context.Context) (study.Problems, error) {
	p.Checks = make([]sdk.CellCheck, len(p.Cells))
	found := findings{spec: p.Spec}
	for _, group := range p.byPlugin() {
		checks, err := p.cachedCheck(ctx, group)
		if err != nil {
			return nil, err
		}
		p.take(group, checks, &found)
	}
	return found.list, nil
}

// checkEnvironment lets each plugin look at this machine, once, before the
// first load.
func (p *Prepared) checkEnvironment(ctx context.Context) error {
	found := findings{spec: p.Spec}
	for _, group := range p.byPlugin() {
		checks, err := p.check(ctx, group, sdk.DepthEnvironment)
		if err != nil {
			return err
		}
		p.take(group, checks, &found)
	}
	if len(found.list) > 0 {
		return found.list
	}
	return nil
}

// group is the cells of one plugin, as indices into Prepared.Cells.
type group struct {
	plugin string
	cells  []int
}

func (p *Prepared) byPlugin() []group {
	var groups []group
	for i, cell := range p.Cells {
		at := slices.IndexFunc(groups, func(g group) bool { return g.plugin == cell.Plugin })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{plugin: cell.Plugin})
		}
		groups[at].cells = append(groups[at].cells, i)
	}
	return groups
}

// take stores a group's verdicts and collects what is wrong, including a loop
// that the plugin cannot be driven with.
func (p *Prepared) take(g group, checks []sdk.CellCheck, found *findings) {
	for k, i := range g.cells {
		cell, check := p.Cells[i], checks[k]
		p.Checks[i] = check
		found.diagnostics(&cell, check.Diagnostics)
		loop := measure.ContractCell(cell).Load.Loop
		if !check.Refused() && !slices.Contains(check.Loops, loop) {
			found.in(&cell, "load.mode", fmt.Sprintf("%s cannot be driven with mode %q", cell.Plugin, cell.Load.Mode),
				fmt.Sprintf("it supports: %v", check.Loops))
		}
	}
}

func (p *Prepared) contractCells(g group) []sdk.Cell {
	cells := make([]sdk.Cell, len(g.cells))
	for k, i := range g.cells {
		cells[k] = measure.ContractCell(p.Cells[i])
	}
	return cells
}

func (p *Prepared) check(ctx context.Context, g group, depth sdk.Depth) ([]sdk.CellCheck, error) {
	plugin, _, err := p.Registry.Start(ctx, g.plugin, host.Options{CoreVersion: Version})
	if err != nil {
		return nil, err
	}
	defer plugin.Kill()
	checks, err := plugin.Check(ctx, p.contractCells(g), depth)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: check: %w", g.plugin, err)
	}
	if len(checks) != len(g.cells) {
		return nil, fmt.Errorf("plugin %s: check: it answered for %d of %d cells; that is a fault of the plugin", g.plugin, len(checks), len(g.cells))
	}
	return checks, nil
}

func (p *Prepared) cachedCheck(ctx context.Context, g group) ([]sdk.CellCheck, error) {
	text, err := json.Marshal(p.contractCells(g))
	if err != nil {
		return nil, fmt.Errorf("encode the cells of plugin %s: %w", g.plugin, err)
	}
	sum := sha256.Sum256(append(text, Version+p.Plugins[g.plugin].Digest()...))
	path := filepath.Join(p.cacheDir("checks"), hex.EncodeToString(sum[:])+".json")
	var checks []sdk.CellCheck
	if cached, err := os.ReadFile(path); err == nil && json.Unmarshal(cached, &checks) == nil && len(checks) == len(g.cells) {
		return checks, nil
	}
	checks, err = p.check(ctx, g, sdk.DepthStatic)
	if err != nil {
		return nil, err
	}
	if encoded, err := json.Marshal(checks); err == nil {
		// A cache that cannot be written costs time, not correctness.
		if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
			_ = renameio.WriteFile(path, encoded, 0o644)
		}
	}
	return checks, nil
}
