package plugintest

import (
	"context"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Machine is what a backend's Check says of the machine that it is on.
type Machine struct {
	// Lacking is what keeps the engine from being loaded here, and what to do
	// about it, a line each.
	Lacking []string
	// Doubts are what the backend warns of on this machine, such as a GPU that the
	// engine cannot use, a line each.
	Doubts []string
	// Unknown says why the machine was not judged; "" means that it was.
	Unknown string
}

// LookAround asks a backend that was started, and nothing of it loaded, whether
// this machine has what its engine needs. It is asked about the small cell that
// the suite drives it with, of which the machine has the model and the devices
// if it has the engine.
func LookAround(ctx context.Context, p *host.Plugin) (Machine, error) {
	s := newSuite(nil)
	if why := s.wanting(p); why != "" {
		return Machine{Unknown: why}, nil
	}
	var refused []string
	for _, cell := range s.candidates() {
		o, err := opinionOf(ctx, p, cell)
		if err != nil {
			return Machine{}, err
		}
		if len(o.refused) == 0 { // taken, or refused here only
			return Machine{Lacking: o.lacking, Doubts: o.doubts}, nil
		}
		refused = append(refused, o.refused...)
	}
	slices.Sort(refused)
	return Machine{Unknown: strings.Join(slices.Compact(refused), "; ")}, nil
}

// opinion is what a backend thinks of a cell, on any machine and on this one.
type opinion struct {
	verdict sdk.CellCheck // on this one
	// refused are the errors that are the cell's own, lacking those that it has on
	// this machine only, and doubts the warnings that it has here only.
	refused, lacking, doubts []string
}

func opinionOf(ctx context.Context, p *host.Plugin, cell sdk.Cell) (opinion, error) {
	here, err := p.Check(ctx, []sdk.Cell{cell}, sdk.DepthEnvironment)
	if err != nil {
		return opinion{}, err
	}
	anywhere, err := p.Check(ctx, []sdk.Cell{cell}, sdk.DepthStatic)
	if err != nil {
		return opinion{}, err
	}
	o := opinion{verdict: here[0], refused: lines(anywhere[0], sdk.SeverityError)}
	for _, d := range here[0].Diagnostics {
		switch line := lineOf(d); {
		case d.Severity != sdk.SeverityError || slices.Contains(o.refused, line):
		case aboutCell(d):
			o.refused = append(o.refused, line)
		default:
			o.lacking = append(o.lacking, line)
		}
	}
	o.doubts = without(lines(here[0], sdk.SeverityWarning), lines(anywhere[0], sdk.SeverityWarning))
	return o, nil
}

func without(list, known []string) []string {
	return slices.DeleteFunc(list, func(line string) bool { return slices.Contains(known, line) })
}

// aboutCell tells a finding on the cell's model or work, which is no lack of the
// machine's.
func aboutCell(d sdk.Diagnostic) bool {
	return slices.ContainsFunc([]string{"model.", "workload.", "load."}, func(section string) bool { return strings.HasPrefix(d.KeyPath, section) })
}

// lineOf is a finding with its key and its advice.
func lineOf(d sdk.Diagnostic) string {
	return strings.TrimPrefix(strings.TrimSuffix(d.KeyPath+": "+d.Message+"; "+d.Advice, "; "), ": ")
}

// lines are the findings of a severity in a verdict.
func lines(check sdk.CellCheck, severity sdk.Severity) []string {
	var list []string
	for _, d := range check.Diagnostics {
		if d.Severity == severity {
			list = append(list, lineOf(d))
		}
	}
	return list
}
