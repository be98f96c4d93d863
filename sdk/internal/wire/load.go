package wire

import (
	"math"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
)

// ToStage translates a stage event.
func ToStage(s sdk.StageEvent) *pb.Stage {
	return &pb.Stage{Kind: stages.to(s.Kind), Moment: moments.to(s.Moment), MonoNs: s.MonoNs, Fraction: s.Fraction, Message: text(s.Message)}
}

// FromStage translates a stage event.
func FromStage(s *pb.Stage) sdk.StageEvent {
	return sdk.StageEvent{
		Kind: stages.from(s.GetKind()), Moment: moments.from(s.GetMoment()), MonoNs: s.GetMonoNs(),
		Fraction: share(s.GetFraction()), Message: s.GetMessage(),
	}
}

// share is 0 for NaN and infinities, which no record can hold.
func share(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// ToReport translates a load report.
func ToReport(r sdk.LoadReport) (*pb.LoadReport, error) {
	resolved, err := ToTable(r.Resolved)
	if err != nil {
		return nil, err
	}
	m := r.Model
	out := &pb.LoadReport{
		Engine: r.Engine, EngineVersion: r.EngineVersion, ImageDigest: r.ImageDigest, Resolved: resolved,
		KvCapacityTokens: r.KVCapacityTokens,
		Edge:             edges.to(r.Edge), MaxCancelMs: r.MaxCancelMs,
		Model: &pb.ModelIdentity{
			Revision: m.Revision, ArtifactDigest: m.ArtifactDigest, Base: m.Base, Parameters: m.Parameters,
			Layers: m.Layers, Heads: m.Heads, KvHeads: m.KVHeads, Vocab: m.Vocab, WeightType: m.WeightType,
			Quantisation: m.Quantisation, RandomWeights: m.RandomWeights,
		},
	}
	for _, p := range r.Packages {
		out.Packages = append(out.Packages, &pb.Package{Name: text(p.Name), Version: text(p.Version)})
	}
	for _, d := range r.Devices {
		out.Devices = append(out.Devices, &pb.DeviceUse{Id: d.ID, Kind: d.Kind, Rank: d.Rank, Pid: d.PID})
	}
	out.Warnings = ToWarnings(r.Warnings)
	return out, nil
}

// FromReport translates a load report.
func FromReport(r *pb.LoadReport) (sdk.LoadReport, error) {
	resolved, err := fromTable(r.GetResolved(), showUnknown)
	if err != nil {
		return sdk.LoadReport{}, err
	}
	m := r.GetModel()
	out := sdk.LoadReport{
		Engine: r.GetEngine(), EngineVersion: r.GetEngineVersion(), ImageDigest: r.GetImageDigest(), Resolved: resolved,
		KVCapacityTokens: r.KvCapacityTokens,
		Edge:             edges.from(r.GetEdge()), MaxCancelMs: r.GetMaxCancelMs(),
	}
	if m != nil {
		out.Model = sdk.ModelIdentity{
			Revision: m.Revision, ArtifactDigest: m.ArtifactDigest, Base: m.Base, Parameters: m.Parameters,
			Layers: m.Layers, Heads: m.Heads, KVHeads: m.KvHeads, Vocab: m.Vocab, WeightType: m.WeightType,
			Quantisation: m.Quantisation, RandomWeights: m.RandomWeights,
		}
	}
	for _, p := range r.GetPackages() {
		out.Packages = append(out.Packages, sdk.Package{Name: p.GetName(), Version: p.GetVersion()})
	}
	for _, d := range r.GetDevices() {
		out.Devices = append(out.Devices, sdk.DeviceUse{ID: d.GetId(), Kind: d.GetKind(), Rank: d.GetRank(), PID: d.GetPid()})
	}
	out.Warnings = FromWarnings(r.GetWarnings())
	return out, nil
}

// ToCounters translates counters; nil stays nil.
func ToCounters(c *sdk.Counters) *pb.Counters {
	if c == nil {
		return nil
	}
	out := &pb.Counters{
		MonoNs: c.MonoNs, EngineSteps: c.EngineSteps, PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens,
		CachedPromptTokens: c.CachedPromptTokens, Preemptions: c.Preemptions, PaddingTokens: c.PaddingTokens,
		ScheduledTokens: c.ScheduledTokens, Recompiles: c.Recompiles, RunningMean: c.RunningMean, SpecAccepted: c.SpecAccepted,
	}
	for _, n := range c.Named {
		out.Named = append(out.Named, &pb.NamedMetric{Name: n.Name, Unit: n.Unit, Direction: n.Direction, Value: n.Value})
	}
	return out
}

// FromCounters translates counters; nil stays nil.
func FromCounters(c *pb.Counters) *sdk.Counters {
	if c == nil {
		return nil
	}
	out := &sdk.Counters{
		MonoNs: c.MonoNs, EngineSteps: c.EngineSteps, PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens,
		CachedPromptTokens: c.CachedPromptTokens, Preemptions: c.Preemptions, PaddingTokens: c.PaddingTokens,
		ScheduledTokens: c.ScheduledTokens, Recompiles: c.Recompiles, RunningMean: c.RunningMean, SpecAccepted: c.SpecAccepted,
	}
	for _, n := range c.GetNamed() {
		out.Named = append(out.Named, sdk.NamedMetric{Name: n.GetName(), Unit: n.GetUnit(), Direction: n.GetDirection(), Value: n.GetValue()})
	}
	return out
}
