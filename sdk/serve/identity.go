package serve

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// pluginServer answers who this is and judges cells.
type pluginServer struct {
	pb.UnimplementedPluginServiceServer
	backend sdk.Backend      // nil: none
	source  sdk.EnergySource // nil: none

	// What the author's Describe says is asked for once; nil for a kind that
	// is not served.
	ofBackend, ofSource func() sdk.Description
	features            func() []string
}

func newPluginServer(b sdk.Backend, s sdk.EnergySource) *pluginServer {
	p := &pluginServer{backend: b, source: s}
	if b != nil {
		p.ofBackend = sync.OnceValue(b.Describe)
	}
	if s != nil {
		p.ofSource = sync.OnceValue(s.Describe)
	}
	p.features = sync.OnceValue(p.listFeatures)
	return p
}

func (p *pluginServer) description() sdk.Description {
	if p.ofBackend != nil {
		return p.ofBackend()
	}
	return p.ofSource()
}

// listFeatures are what requests may require: the backend's further methods
// and what its author names.
func (p *pluginServer) listFeatures() []string {
	list := slices.Clone(p.description().Features)
	if p.backend != nil { // Run.Passes of this SDK waits them
		list = append(list, sdk.FeaturePassGaps)
	}
	if _, ok := p.backend.(sdk.Checker); ok {
		list = append(list, "check")
	}
	if _, ok := p.backend.(sdk.Tokenizer); ok {
		list = append(list, "tokenize")
	}
	if _, ok := p.backend.(sdk.Counting); ok {
		list = append(list, "counters")
	}
	return list
}

// Describe implements the contract.
func (p *pluginServer) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	d := p.description()
	response := &pb.DescribeResponse{
		Name: d.Name, Version: d.Version, SdkVersion: sdk.Version, LeastCoreVersion: d.LeastCore, Doc: d.Doc,
		ProtocolMinor: sdk.ProtocolMinor, Features: p.features(), BootId: sdk.BootID(),
	}
	var err error
	if p.backend != nil {
		response.Kinds = append(response.Kinds, wire.ToKinds([]sdk.Kind{sdk.KindBackend})...)
		if response.BackendParameters, err = wire.ToSchema(d.Parameters); err != nil {
			return nil, err
		}
	}
	if p.source != nil {
		response.Kinds = append(response.Kinds, wire.ToKinds([]sdk.Kind{sdk.KindEnergySource})...)
		if response.SourceParameters, err = wire.ToSchema(p.ofSource().Parameters); err != nil {
			return nil, err
		}
	}
	response.MonoNowNs = sdk.MonoNow()
	return response, nil
}

// Check implements the contract.
func (p *pluginServer) Check(ctx context.Context, request *pb.CheckRequest) (*pb.CheckResponse, error) {
	if p.backend == nil {
		return nil, &sdk.Error{Code: sdk.CallOrder, Phase: "check", Message: "this plugin is no backend"}
	}
	depth, err := wire.FromDepth(request.GetDepth())
	if err != nil {
		return nil, err
	}
	var cells []sdk.Cell
	for _, c := range request.GetCells() {
		cell, err := wire.FromCell(c)
		if err != nil {
			return nil, err
		}
		cells = append(cells, cell)
	}
	checks, err := p.check(ctx, cells, depth)
	if err != nil {
		return nil, withPhase(err, "check")
	}
	response := &pb.CheckResponse{}
	for i, check := range checks {
		check.CellID = cells[i].ID
		response.Cells = append(response.Cells, wire.ToCheck(check))
	}
	return response, nil
}

// check joins what the schema finds and what the author's Checker does.
func (p *pluginServer) check(ctx context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	description := p.description()
	checks := make([]sdk.CellCheck, len(cells))
	checker, ok := p.backend.(sdk.Checker)
	if ok {
		own, err := checker.Check(ctx, cells, depth)
		if err != nil {
			return nil, err
		}
		if len(own) != len(cells) {
			return nil, &sdk.Error{
				Code: sdk.Internal, Phase: "check",
				Message: fmt.Sprintf("the backend's Check returned %d verdicts on %d cells", len(own), len(cells)),
				Advice:  "Check returns one CellCheck for each cell, in order",
			}
		}
		copy(checks, own)
	}
	for i, cell := range cells {
		c := &checks[i]
		complete(&c.Abilities, description.Abilities)
		c.Diagnostics = append(sdk.CheckTable(description.Parameters, cell.Parameters), c.Diagnostics...)
		if !ok && !slices.Contains(c.Loops, cell.Load.Loop) {
			c.Diagnostics = append(c.Diagnostics, sdk.Diagnostic{
				Severity: sdk.SeverityError, KeyPath: "load.mode",
				Message: fmt.Sprintf("this backend cannot be driven with a %s loop", cell.Load.Loop),
				Advice:  fmt.Sprintf("it can with %v", c.Loops),
			})
		}
	}
	return checks, nil
}

// defaultMaxCancelMs is what a backend gets that names no time.
const defaultMaxCancelMs = 5000

// complete fills what an author may leave out: with what Describe says, and
// then with what the contract gives to those who say nothing.
func complete(a *sdk.Abilities, described sdk.Abilities) {
	if len(a.Loops) == 0 {
		a.Loops = described.Loops
	}
	if len(a.Loops) == 0 {
		a.Loops = []sdk.Loop{sdk.LoopBatch}
	}
	if a.Edge == "" {
		a.Edge = described.Edge
	}
	if a.Edge == "" {
		a.Edge = sdk.EdgeNone
	}
	if a.MaxCancelMs == 0 {
		a.MaxCancelMs = described.MaxCancelMs
	}
	if a.MaxCancelMs == 0 {
		a.MaxCancelMs = defaultMaxCancelMs
	}
	if len(a.Devices) == 0 {
		a.Devices = described.Devices
	}
	if a.Memory == nil {
		a.Memory = described.Memory
	}
}
