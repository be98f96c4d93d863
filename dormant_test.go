package llem

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// judged is a study on a plugin that splits a model only with a plan, and compiles in
// some mode only if it compiles.
func judged(t *testing.T, text string) (*Prepared, error) {
	t.Helper()
	spec, err := study.Parse("study.toml", []byte("name = \"x\"\nbackend = \"p\"\nmodel.id = \"m\"\nload.mode = \"batch\"\n"+
		"workload = {requests = 8, input_tokens = 8, output_tokens = 8}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	p := &Prepared{Study: Study{Spec: spec}, schemas: map[string]sdk.DescribeReport{"p": {BackendSchema: []sdk.Parameter{
		sdk.Text("plan").Doc("How."), sdk.Int("ranks").Doc("How many."), sdk.Bool("compile").Or(false).Doc("Whether."),
		sdk.Text("mode").Or("default").Doc("How."), sdk.Nested("deep", sdk.Int("level").Doc("A level.")).Doc("A table."),
	}}}}
	if p.Cells, err = study.Expand(spec); err != nil {
		t.Fatal(err)
	}
	for _, cell := range p.Cells {
		table, check := sdk.Table(cell.Parameters), sdk.CellCheck{CellID: cell.ID}
		dormant := func(key, message string) {
			check.Diagnostics = append(check.Diagnostics, sdk.Diagnostic{Severity: sdk.SeverityDormant, KeyPath: key, Message: message})
		}
		if table.String("plan", "") == "" && table["ranks"] != nil {
			dormant("ranks", "it belongs to plan")
		}
		if !table.Bool("compile", false) && table["mode"] != nil {
			dormant("mode", "nothing is compiled")
		}
		if table["deep"] != nil {
			dormant("deep", "it is never used")
		}
		if cell.Model.Revision != "" {
			dormant("model.revision", "m has no revisions")
		}
		p.Checks = append(p.Checks, check)
	}
	found := newFindings(spec)
	if err := p.checkDormant(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	return p, found.err()
}

// An axis without any effect would compare deployments with themselves.
func TestAnAxisWithoutEffectIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"sweep.backends.p.ranks = [1, 2]":                                    `sweep.backends.p.ranks: it has no effect in any of its cells (ranks=1; ranks=2): ranks: it belongs to plan`,
		"sweep.backends.p.ranks = [1, 2, 3, 4, 5, 6]":                        `(ranks=1; ranks=2; ranks=3; ranks=4; and 2 more)`,
		"sweep.backends.p.ranks = [1, 2]\nsweep.workload.requests = [8, 16]": `sweep.backends.p.ranks: it has no effect`,
		"sweep.backends.p.mode = [\"default\", \"best\"]":                    `sweep.backends.p.mode: it has no effect in any of its cells (mode=default; mode=best): mode: nothing is compiled`,
		"sweep.backends.p.deep.level = [1, 2]":                               `sweep.backends.p.deep.level: it has no effect`,
		"sweep.model.revision = [\"a\", \"b\"]":                              `sweep.model.revision: it has no effect in any of its cells (revision=a; revision=b): model.revision: m has no revisions`,
		"[sweep.groups.g.none]\n[sweep.groups.g.two]\nbackends.p.ranks = 2":  `sweep.groups.g: it has no effect`,
		"[experiments.a]\n[experiments.b]\nbackends.p.ranks = 2":             `experiments.b: it differs from "a" only in what has no effect: ranks: it belongs to plan`,
		"sweep.backends.p.ranks = [1, 2]\n[protocol]\nphase_probes = true":   `sweep.backends.p.ranks: it has no effect in any of its cells (ranks=1; ranks=2): ranks`,
		"sweep.backends.p.ranks = [1, 2]\nsweep.backends.p.compile = [true]": `sweep.backends.p.ranks: it has no effect`,
	} {
		p, err := judged(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "no effect") != 1 || len(p.warnings) > 0 {
			t.Errorf("%s\n  said %v, and warned of %v", text, err, p.warnings)
		}
	}
}

// A grid of which some cells need the axis is measured as it is written.
func TestCellsOfAGridThatAreOneDeploymentAreWarnedOf(t *testing.T) {
	p, err := judged(t, "sweep.backends.p.compile = [false, true]\nsweep.backends.p.mode = [\"default\", \"best\"]")
	want := `2 cells are one deployment, measured under several names (compile=false mode=default; compile=false mode=best): they differ only in what has no effect: mode: nothing is compiled`
	if err != nil || len(p.warnings) != 1 || p.warnings[0].Code != CodeSameDeployment || p.warnings[0].Message != want {
		t.Errorf("%v, %+v", err, p.warnings)
	}
	// A second look, at the machine, says nothing twice.
	if err := p.checkDormant(t.Context(), newFindings(p.Spec)); err != nil || len(p.warnings) != 1 {
		t.Errorf("%v, %+v", err, p.warnings)
	}
}

// What has an effect, or is dormant and the same in all, is nobody's fault.
func TestCellsThatDifferAreLeftAlone(t *testing.T) {
	for _, text := range []string{
		"sweep.backends.p.ranks = [1, 2]\nbackends.p.plan = \"auto\"",
		"sweep.backends.p.compile = [false, true]\nbackends.p.mode = \"best\"",
		"sweep.workload.requests = [8, 16]\nbackends.p.ranks = 2",
		"sweep.backends.p.ranks = [2]",
		"[sweep.groups.g.a]\nbackends.p.ranks = 1\n[sweep.groups.g.b]\nbackends.p.ranks = 2\nbackends.p.compile = true",
		"[sweep.groups.g.none]\n[sweep.groups.g.off]\nbackends.p.compile = false", // by a default, and not by what a plugin says
	} {
		if p, err := judged(t, text); err != nil || len(p.warnings) > 0 {
			t.Errorf("%s\n  said %v, and warned of %v", text, err, p.warnings)
		}
	}
}
