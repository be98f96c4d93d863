package wire

import (
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToCell translates a cell.
func ToCell(c sdk.Cell) (*pb.Cell, error) {
	parameters, err := ToTable(c.Parameters)
	if err != nil {
		return nil, err
	}
	return &pb.Cell{
		Id: c.ID, Parameters: parameters,
		Model: &pb.Model{Id: c.Model.ID, Revision: c.Model.Revision, Path: c.Model.Path, Weights: weights.to(c.Model.Weights)},
		Workload: &pb.Workload{
			RequestsPerPass: c.Workload.RequestsPerPass, MaxInputTokens: c.Workload.MaxInputTokens,
			MaxOutputTokens: c.Workload.MaxOutputTokens, ExactLengths: c.Workload.ExactLengths,
			SharedPrefixTokens: c.Workload.SharedPrefixTokens, Sampling: toSampling(c.Workload.Sampling),
		},
		Load:     &pb.LoadShape{Loop: loops.to(c.Load.Loop), Concurrency: c.Load.Concurrency, RatePerS: c.Load.RatePerS},
		Protocol: &pb.ProtocolShape{ConditioningNs: c.Protocol.ConditioningNs, WindowNs: c.Protocol.WindowNs},
	}, nil
}

// FromCell translates a cell. A loop or kind of weights that this version does
// not know is an error: it would be run as something else.
func FromCell(c *pb.Cell) (sdk.Cell, error) {
	parameters, err := FromTable(c.GetParameters())
	if err != nil {
		return sdk.Cell{}, err
	}
	loop, err := loops.known("load.loop", c.GetLoad().GetLoop())
	if err != nil {
		return sdk.Cell{}, err
	}
	kind := sdk.WeightsAuto
	if c.GetModel().GetWeights() != pb.Weights_WEIGHTS_UNSPECIFIED {
		if kind, err = weights.known("model.weights", c.GetModel().GetWeights()); err != nil {
			return sdk.Cell{}, err
		}
	}
	m, w := c.GetModel(), c.GetWorkload()
	return sdk.Cell{
		ID: c.GetId(), Parameters: parameters,
		Model: sdk.Model{ID: m.GetId(), Revision: m.GetRevision(), Path: m.GetPath(), Weights: kind},
		Workload: sdk.Workload{
			RequestsPerPass: w.GetRequestsPerPass(), MaxInputTokens: w.GetMaxInputTokens(),
			MaxOutputTokens: w.GetMaxOutputTokens(), ExactLengths: w.GetExactLengths(),
			SharedPrefixTokens: w.GetSharedPrefixTokens(), Sampling: fromSampling(w.GetSampling()),
		},
		Load:     sdk.LoadShape{Loop: loop, Concurrency: c.GetLoad().GetConcurrency(), RatePerS: c.GetLoad().GetRatePerS()},
		Protocol: sdk.ProtocolShape{ConditioningNs: c.GetProtocol().GetConditioningNs(), WindowNs: c.GetProtocol().GetWindowNs()},
	}, nil
}

func toSampling(s sdk.Sampling) *pb.Sampling {
	return &pb.Sampling{Temperature: s.Temperature, TopP: s.TopP, TopK: s.TopK, Seed: s.Seed}
}

func fromSampling(s *pb.Sampling) sdk.Sampling {
	return sdk.Sampling{Temperature: s.GetTemperature(), TopP: s.GetTopP(), TopK: s.GetTopK(), Seed: s.GetSeed()}
}

// ToCells translates the cells of a Check.
func ToCells(cells []sdk.Cell) ([]*pb.Cell, error) {
	var out []*pb.Cell
	for _, c := range cells {
		one, err := ToCell(c)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// ToDepth translates a depth.
func ToDepth(d sdk.Depth) pb.CheckDepth { return depths.to(d) }

// FromDepth translates a depth; an unknown one is an error.
func FromDepth(d pb.CheckDepth) (sdk.Depth, error) { return depths.known("depth", d) }

// ToCheck translates a verdict.
func ToCheck(c sdk.CellCheck) *pb.CellCheck {
	out := &pb.CellCheck{CellId: c.CellID, Edge: edges.to(c.Edge), MaxCancelMs: c.MaxCancelMs}
	for _, d := range c.Diagnostics {
		out.Diagnostics = append(out.Diagnostics, &pb.Diagnostic{
			Severity: severities.to(d.Severity), KeyPath: text(d.KeyPath), Message: text(d.Message), Advice: text(d.Advice),
		})
	}
	for _, d := range c.Devices {
		out.Devices = append(out.Devices, &pb.DeviceNeed{Kind: d.Kind, Min: d.Min, Max: d.Max})
	}
	for _, l := range c.Loops {
		out.Loops = append(out.Loops, loops.to(l))
	}
	if m := c.Memory; m != nil {
		out.Memory = &pb.MemoryModel{
			WeightsBytes: m.WeightsBytes, KvBytesPerToken: m.KVBytesPerToken, FixedBytes: m.FixedBytes, ClaimedShare: m.ClaimedShare,
		}
	}
	return out
}

// FromCheck translates a verdict. A severity of a newer plugin counts as an
// error: a cell must not run because its refusal was not understood.
func FromCheck(c *pb.CellCheck) sdk.CellCheck {
	out := sdk.CellCheck{CellID: c.GetCellId()}
	out.Edge, out.MaxCancelMs = edges.from(c.GetEdge()), c.GetMaxCancelMs()
	for _, d := range c.GetDiagnostics() {
		severity := severities.from(d.GetSeverity())
		if _, ok := severities.words[severity]; !ok {
			severity = sdk.SeverityError
		}
		out.Diagnostics = append(out.Diagnostics, sdk.Diagnostic{
			Severity: severity, KeyPath: d.GetKeyPath(), Message: d.GetMessage(), Advice: d.GetAdvice(),
		})
	}
	for _, d := range c.GetDevices() {
		out.Devices = append(out.Devices, sdk.DeviceNeed{Kind: d.GetKind(), Min: d.GetMin(), Max: d.GetMax()})
	}
	for _, l := range c.GetLoops() {
		out.Loops = append(out.Loops, loops.from(l))
	}
	if m := c.GetMemory(); m != nil {
		out.Memory = &sdk.MemoryModel{
			WeightsBytes: m.WeightsBytes, KVBytesPerToken: m.KvBytesPerToken, FixedBytes: m.FixedBytes, ClaimedShare: m.ClaimedShare,
		}
	}
	return out
}
