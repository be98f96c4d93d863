package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/llenergymeasure/llem/plugins/ggml/internal/engine"
	"github.com/llenergymeasure/llem/sdk"
)

// Check implements sdk.Checker.
func (*backend) Check(_ context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	checks := make([]sdk.CellCheck, len(cells))
	for i, cell := range cells {
		checks[i] = checkCell(cell, depth)
	}
	return checks, nil
}

func checkCell(cell sdk.Cell, depth sdk.Depth) sdk.CellCheck {
	check := sdk.CellCheck{CellID: cell.ID, Abilities: abilities()}
	if len(sdk.CheckTable((*backend)(nil).Describe().Parameters, cell.Parameters)) > 0 {
		return check // the schema's findings are reported without our help
	}
	s, found := settle(cell)
	check.Diagnostics = append(found, checkLoad(cell, s)...)
	if check.Refused() {
		return check
	}
	facts := s.facts()
	if depth == sdk.DepthEnvironment {
		var err error
		if facts, err = s.inspect(); err != nil {
			check.Diagnostics = append(check.Diagnostics, sdk.Diagnostic{
				Severity: sdk.SeverityError, KeyPath: "model.path", Message: err.Error(),
			})
			return check
		}
		check.Diagnostics = append(check.Diagnostics, checkMachine(facts, s.options)...)
	}
	check.Diagnostics = append(check.Diagnostics, s.problems(facts)...)
	if facts.Parameters > 0 {
		kvBytes := facts.KVBytesPerToken(s.options.KVType)
		check.Memory = &sdk.MemoryModel{WeightsBytes: &facts.WeightBytes, KVBytesPerToken: &kvBytes}
		check.MaxCancelMs = cancelMs(facts, s.options)
	}
	return check
}

// inspect is facts with a look at the file.
func (s *settings) inspect() (engine.Facts, error) {
	if s.path == "" {
		return s.facts(), nil
	}
	return engine.Inspect(s.path)
}

// checkLoad judges how the cell is driven.
func checkLoad(cell sdk.Cell, s settings) []sdk.Diagnostic {
	var found []sdk.Diagnostic
	add := func(severity sdk.Severity, key, advice, format string, args ...any) {
		found = append(found, sdk.Diagnostic{Severity: severity, KeyPath: key, Message: fmt.Sprintf(format, args...), Advice: advice})
	}
	batch := s.options.BatchSize
	switch requests := int(cell.Workload.RequestsPerPass); cell.Load.Loop {
	case sdk.LoopBatch:
		if requests%max(1, batch) != 0 {
			add(sdk.SeverityWarning, "batch_size", "let the requests of a pass be a multiple of it",
				"a pass of %d requests ends with a batch of %d, not %d", requests, requests%batch, batch)
		}
	case sdk.LoopClosed:
		if int(cell.Load.Concurrency) > batch {
			add(sdk.SeverityWarning, "batch_size", "raise it to load.concurrency, unless queueing is what you want to measure",
				"of %d requests in flight %d are computed and the others wait", cell.Load.Concurrency, batch)
		}
	default:
		add(sdk.SeverityError, "load.mode", `use "batch" or "closed"`, "this backend cannot be driven with a %s loop", cell.Load.Loop)
	}
	if cell.Model.Weights == sdk.WeightsDummy && !cell.Workload.ExactLengths {
		add(sdk.SeverityWarning, "workload.lengths", `use lengths = "exact"`,
			"a model with random weights ends its texts at random, or never")
	}
	return found
}

// checkMachine judges what depends on this computer.
func checkMachine(f engine.Facts, o engine.Options) []sdk.Diagnostic {
	var found []sdk.Diagnostic
	if cores := runtime.GOMAXPROCS(0); o.Threads > cores {
		found = append(found, sdk.Diagnostic{
			Severity: sdk.SeverityWarning, KeyPath: "threads",
			Message: fmt.Sprintf("%d threads on %d CPUs: the kernels' threads wait for each other by spinning, which becomes very slow", o.Threads, cores),
			Advice:  fmt.Sprintf("use at most %d", cores),
		})
	}
	need := f.WeightBytes + o.KVCells()*f.KVBytesPerToken(o.KVType)
	if free, known := availableBytes(memInfoPath); known && need > free {
		found = append(found, sdk.Diagnostic{
			Severity: sdk.SeverityError, KeyPath: "batch_size",
			Message: fmt.Sprintf("weights and KV cache take %d MiB and %d MiB of memory are available", need>>20, free>>20),
			Advice:  "lower batch_size or context, or use smaller weights",
		})
	}
	return found
}

// cancelMs bounds the time of the greatest step, which nothing interrupts. The
// rates are a third, or less, of what one thread was seen to do.
func cancelMs(f engine.Facts, o engine.Options) uint32 {
	const margin = 500
	perMs := 10e6 // operations of a thread
	if engine.SlowBuild() {
		perMs = 0.8e6
	}
	perToken := 2*float64(f.Parameters) + 4*float64(f.Layers)*float64(f.Heads*f.HeadWidth)*float64(o.KVCells())
	threads := min(o.Threads, runtime.GOMAXPROCS(0))
	return uint32(min(1e9, margin+engine.MaxBatchTokens*perToken/perMs/float64(threads)))
}
