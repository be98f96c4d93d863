package serve

import (
	"context"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// pluginServer answers who this is and judges cells.
type pluginServer struct {
	pb.UnimplementedPluginServiceServer
	backend sdk.Backend      // nil: none
	source  sdk.EnergySource // nil: none
}

func (p *pluginServer) description() sdk.Description {
	if p.backend != nil {
		return p.backend.Describe()
	}
	return p.source.Describe()
}

// features are what requests may require: the backend's further methods and
// what its author names.
func (p *pluginServer) features() []string {
	list := append([]string(nil), p.description().Features...)
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
		if response.SourceParameters, err = wire.ToSchema(p.source.Describe().Parameters); err != nil {
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
		return nil, err
	}
	response := &pb.CheckResponse{}
	for i, check := range checks {
		check.CellID = cells[i].ID
		response.Cells = append(response.Cells, wire.ToCheck(completed(check)))
	}
	return response, nil
}

func (p *pluginServer) check(ctx context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	description := p.backend.Describe()
	checks := make([]sdk.CellCheck, len(cells))
	if checker, ok := p.backend.(sdk.Checker); ok {
		own, err := checker.Check(ctx, cells, depth)
		if err != nil {
			return nil, err
		}
		if len(own) != len(cells) {
			return nil, &sdk.Error{Code: sdk.Internal, Phase: "check", Message: "the backend's Check did not answer for each cell"}
		}
		copy(checks, own)
	} else {
		for i := range checks {
			checks[i].Abilities = description.Abilities
		}
	}
	for i, cell := range cells {
		checks[i].Diagnostics = append(sdk.CheckTable(description.Parameters, cell.Parameters), checks[i].Diagnostics...)
	}
	return checks, nil
}

// defaultMaxCancelMs is what a backend gets that names no time.
const defaultMaxCancelMs = 5000

// completed fills what an author may leave out.
func completed(c sdk.CellCheck) sdk.CellCheck {
	if len(c.Loops) == 0 {
		c.Loops = []sdk.Loop{sdk.LoopBatch}
	}
	if c.Edge == "" {
		c.Edge = sdk.EdgeNone
	}
	if c.MaxCancelMs == 0 {
		c.MaxCancelMs = defaultMaxCancelMs
	}
	return c
}
