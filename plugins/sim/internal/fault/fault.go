// Package fault decides when a simulated fault happens. Faults exist to test
// how a host bears them; nothing of them is on by default.
package fault

import (
	"os"
	"sync"

	"github.com/llenergymeasure/llem/sdk"
)

// None is the fault that never happens.
const None = "none"

// Fault is one fault that a study asked for.
type Fault struct {
	Kind    string
	AfterNs int64 // since the begin of what is disturbed
	FromRun int64 // a fault in a Run: the first Run of the load that has it

	// File, if set, lets the fault happen only in the one process that can
	// remove it: a token for one fault among many trials.
	File string

	once  sync.Once
	armed bool
}

// New reads the fault's parameters from a complete table.
func New(t sdk.Table) *Fault {
	return &Fault{
		Kind: t.String("fault", None), AfterNs: int64(t.Float("fault_after_ms", 0) * 1e6),
		FromRun: t.Int("fault_run", 1), File: t.String("fault_file", ""),
	}
}

// Due tells whether the fault kind is to happen now, given when that which it
// disturbs began. Once due, it stays so.
func (f *Fault) Due(kind string, beganNs int64) bool {
	if f.Kind != kind || sdk.MonoNow()-beganNs < f.AfterNs {
		return false
	}
	f.once.Do(func() { f.armed = f.File == "" || os.Remove(f.File) == nil })
	return f.armed
}

// Parameters are the keys that every simulated thing shares.
func Parameters(kinds ...any) []sdk.Parameter {
	return []sdk.Parameter{
		sdk.Text("fault").OneOf(kinds...).Or(None).For(sdk.RoleExecution).Doc("Fault to simulate, for tests of the host."),
		sdk.Float("fault_after_ms").Unit("ms").Or(0).AtLeast(0).For(sdk.RoleExecution).Doc("When the fault happens, after the begin of the Load, Run or stream that it disturbs."),
		sdk.Text("fault_file").Or("").For(sdk.RoleExecution).Doc("The fault happens only in the one process that can remove this file; empty means in every process."),
	}
}
