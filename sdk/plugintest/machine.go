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
			return Machine{Lacking: o.lacking}, nil
		}
		refused = append(refused, o.refused...)
	}
	slices.Sort(refused)
	return Machine{Unknown: strings.Join(slices.Compact(refused), "; ")}, nil
}

// opinion is what a backend thinks of a cell, on any machine and on this one.
type opinion struct {
	verdict sdk.CellCheck // on this one
	// refused are the errors that the cell has anywhere, lacking those that it has
	// here only.
	refused, lacking []string
}

func opinionOf(ctx context.Context, p *host.Plugin, cell sdk.Cell) (opinion, error) {
	here, err := p.Check(ctx, []sdk.Cell{cell}, sdk.DepthEnvironment)
	if err != nil {
		return opinion{}, err
	}
	if !here[0].Refused() {
		return opinion{verdict: here[0]}, nil
	}
	anywhere, err := p.Check(ctx, []sdk.Cell{cell}, sdk.DepthStatic)
	if err != nil {
		return opinion{}, err
	}
	o := opinion{verdict: here[0], refused: errorLines(anywhere[0])}
	for _, line := range errorLines(here[0]) {
		if !slices.Contains(o.refused, line) {
			o.lacking = append(o.lacking, line)
		}
	}
	return o, nil
}

// errorLines are the errors of a verdict, each with its key and its advice.
func errorLines(check sdk.CellCheck) []string {
	var lines []string
	for _, d := range check.Diagnostics {
		if d.Severity == sdk.SeverityError {
			lines = append(lines, strings.TrimPrefix(strings.TrimSuffix(d.KeyPath+": "+d.Message+"; "+d.Advice, "; "), ": "))
		}
	}
	return lines
}
