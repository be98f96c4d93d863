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
	"github.com/llenergymeasure/llem/core/plan"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// checkPasses refuses cells of which one pass, or the schedule of an open loop, is
// more than memory holds.
func (p *Prepared) checkPasses(_ context.Context, found *findings) error {
	windows := plan.WindowsPerLoad(p.Spec)
	for i := range p.Cells {
		found.diagnostics(&p.Cells[i], measure.CheckPass(p.Cells[i]))
		found.diagnostics(&p.Cells[i], measure.CheckSchedule(p.Cells[i], windows))
	}
	return nil
}

// checkParameters holds every cell's and source's table against its plugin's
// schema. A plugin that was not found has none, and its cells are refused.
func (p *Prepared) checkParameters(_ context.Context, found *findings) error {
	first := map[string]*study.Cell{} // by instance
	for i := range p.Cells {
		cell := &p.Cells[i]
		description, known := p.schemas[cell.Plugin]
		if !known {
			found.refused[cell] = true
			continue
		}
		schema := description.BackendSchema
		for _, d := range sdk.CheckTable(schema, sdk.Table(cell.Parameters)) {
			if d.Severity == sdk.SeverityError {
				found.in(cell, "backends."+cell.Instance+"."+d.KeyPath, d.Message, d.Advice)
			}
		}
		for _, axis := range cell.Axes {
			found.sweepable("backends."+cell.Instance, schema, cell, axis)
		}
		if first[cell.Instance] == nil {
			first[cell.Instance] = cell
		}
		found.oneSecret(cell, first[cell.Instance], schema)
	}
	p.checkSources(found)
	return nil
}

func (p *Prepared) checkSources(found *findings) {
	for _, s := range p.sources {
		if _, known := p.schemas[s.plugin]; known {
			p.sourceKeys(s, found)
		}
	}
}

// checkStatic asks each plugin to judge its cells without touching a device.
// The verdicts are cached by the plugin's digest and the cells, so that a dry
// run starts no process.
func (p *Prepared) checkStatic(ctx context.Context, found *findings) error {
	p.Checks = make([]sdk.CellCheck, len(p.Cells))
	for _, group := range p.byPlugin(found.refused) {
		checks, err := p.cachedCheck(ctx, group)
		if err != nil {
			return err
		}
		p.take(group, checks, found)
	}
	return nil
}

// checkEnvironment lets each plugin look at this machine, once, before the
// first load.
func (p *Prepared) checkEnvironment(ctx context.Context) error {
	found := newFindings(p.Spec)
	for _, group := range p.byPlugin(nil) {
		checks, err := p.check(ctx, group, sdk.DepthEnvironment)
		if err != nil {
			return err
		}
		p.take(group, checks, found)
	}
	// On this machine more may be without effect.
	if err := p.checkDormant(ctx, found); err != nil {
		return err
	}
	return found.err()
}

// group is the cells of one plugin, as indices into Prepared.Cells.
type group struct {
	plugin string
	cells  []int
}

// byPlugin groups the cells that are not refused.
func (p *Prepared) byPlugin(refused map[*study.Cell]bool) []group {
	var groups []group
	for i, cell := range p.Cells {
		if refused[&p.Cells[i]] {
			continue
		}
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
		cell, check := &p.Cells[i], checks[k]
		p.Checks[i] = check
		found.diagnostics(cell, check.Diagnostics)
		loop := measure.ContractCell(*cell).Load.Loop
		if !check.Refused() && !slices.Contains(check.Loops, loop) {
			found.in(cell, "load.mode", fmt.Sprintf("%s cannot be driven with mode %q", cell.Plugin, cell.Load.Mode),
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
