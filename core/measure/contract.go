package measure

import (
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// ContractCell translates a cell into the terms of the plugin contract.
func ContractCell(c study.Cell) sdk.Cell {
	return sdk.Cell{
		ID: c.ID, Parameters: sdk.Table(c.Parameters),
		Model: sdk.Model{ID: c.Model.ID, Revision: c.Model.Revision, Path: c.Model.Path, Weights: sdk.Weights(c.Model.Weights)},
		Workload: sdk.Workload{
			RequestsPerPass: uint32(c.Workload.Requests), MaxInputTokens: uint32(c.Workload.InputTokens),
			MaxOutputTokens: uint32(c.Workload.OutputTokens), ExactLengths: c.Workload.Lengths != "natural",
			SharedPrefixTokens: uint32(c.Workload.SharedPrefixTokens), Sampling: contractSampling(c.Workload),
		},
		Load: sdk.LoadShape{
			Loop: contractLoop(c.Load.Mode), Concurrency: uint32(c.Load.Concurrency), RatePerS: c.Load.Rate,
		},
		Protocol: sdk.ProtocolShape{
			ConditioningNs: int64(c.Protocol.ConditioningS * 1e9), WindowNs: int64(c.Protocol.WindowS * 1e9),
		},
	}
}

func contractSampling(w study.Workload) sdk.Sampling {
	return sdk.Sampling{
		Temperature: w.Sampling.Temperature, TopP: w.Sampling.TopP, TopK: uint32(w.Sampling.TopK), Seed: w.Seed,
	}
}

// contractLoop maps load.mode: the three arrival patterns are one loop.
func contractLoop(mode string) sdk.Loop {
	switch mode {
	case "batch":
		return sdk.LoopBatch
	case "closed":
		return sdk.LoopClosed
	}
	return sdk.LoopOpen
}

func (t *trial) contractWork(items []sdk.WorkItem) *sdk.Work {
	return &sdk.Work{
		Sampling: contractSampling(t.cell.Workload), ExactLengths: t.cell.Workload.Lengths != "natural", Items: items,
	}
}
