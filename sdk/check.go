package sdk

import "context"

// Depth says how far a check may go.
type Depth string

// The depths of a check.
const (
	DepthStatic      Depth = "static"      // arithmetic on the cell only
	DepthEnvironment Depth = "environment" // packages, devices and files, too
)

// Checker is a backend that judges cells before anything is loaded. One
// without this method accepts every cell that its schema admits and that asks
// for one of its Abilities' loops.
type Checker interface {
	// Check returns one CellCheck for each cell, in order. A cell that cannot
	// run is a diagnostic of severity error, not an error of the call.
	Check(ctx context.Context, cells []Cell, depth Depth) ([]CellCheck, error)
}

// Severity of a diagnostic.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	// SeverityDormant: the parameter has no effect in this combination.
	SeverityDormant Severity = "dormant"
)

// Diagnostic is a finding about one key of a cell.
type Diagnostic struct {
	Severity Severity
	// KeyPath is relative to the plugin's table ("kv_type"), or starts with a
	// section of the study ("workload.input_tokens").
	KeyPath string
	Message string
	// Advice is the next thing to try, or empty.
	Advice string
}

// EdgeKind says what stands behind the stamps at the edges of passes.
type EdgeKind string

// The kinds of edges.
const (
	EdgeNone       EdgeKind = "none"        // work may still be queued
	EdgeDeviceSync EdgeKind = "device_sync" // the device was synchronised
	EdgeQuiesced   EdgeKind = "quiesced"    // the engine is known to be idle
)

// DeviceNeed is how many devices of a kind ("gpu", "cpu") a cell needs.
type DeviceNeed struct {
	Kind     string
	Min, Max uint32
}

// MemoryModel forecasts a cell's memory on one device. nil = not known.
type MemoryModel struct {
	WeightsBytes    *int64
	KVBytesPerToken *int64
	FixedBytes      *int64
	ClaimedShare    *float64 // of the device's memory, claimed at once
}

// CellCheck is the verdict on one cell.
type CellCheck struct {
	CellID      string
	Diagnostics []Diagnostic
	Abilities
}

// Refused tells whether the cell cannot run.
func (c CellCheck) Refused() bool {
	for _, d := range c.Diagnostics {
		if d.Severity == SeverityError {
			return true
		}
	}
	return false
}
