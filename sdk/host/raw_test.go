package host

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
)

// rawModes are plugins that do not use package serve: of another age, or with
// contents that serve would never send.
var rawModes = map[string]bool{
	"raw-old": true, "raw-new": true, "raw-flood": true, "raw-clock": true, "raw-boot": true,
	"raw-nameless": true, "raw-huge": true, "raw-unit": true, "raw-silent": true,
}

func serveRaw(mode string) {
	raw := &rawPlugin{mode: mode}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: transport.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{transport.Major: {transport.Name: &transport.Services{Register: func(s *grpc.Server) {
			pb.RegisterPluginServiceServer(s, raw)
			pb.RegisterBackendServiceServer(s, rawBackend{raw: raw})
			pb.RegisterEnergySourceServiceServer(s, rawSource{})
		}}}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
	os.Exit(0)
}

type rawPlugin struct {
	pb.UnimplementedPluginServiceServer
	mode string
}

// newer adds a field that this version does not know.
func newer[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown([]byte{0xfa, 0x07, 0x01, 'x'}) // field 127, a string
	return m
}

func (r *rawPlugin) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	d := &pb.DescribeResponse{Name: r.mode, Version: "9.0.0", Kinds: []pb.Kind{pb.Kind_KIND_BACKEND}, MonoNowNs: sdk.MonoNow()}
	switch r.mode {
	case "raw-new":
		d.Kinds = append(d.Kinds, 17)
		d.ProtocolMinor, d.Features = 99, []string{"speculation", "counters"}
		d.BackendParameters = []*pb.Parameter{newer(&pb.Parameter{Key: "matrix", Type: 17, Role: 17})}
		return newer(d), nil
	case "raw-clock":
		d.MonoNowNs = time.Now().UnixNano()
	case "raw-boot":
		d.BootId = "11111111-2222-3333-4444-555555555555"
	case "raw-nameless":
		d.Name = ""
	case "raw-huge":
		d.Doc = strings.Repeat("x", 5<<20)
	}
	return d, nil
}

func (r *rawPlugin) Check(_ context.Context, request *pb.CheckRequest) (*pb.CheckResponse, error) {
	response := &pb.CheckResponse{}
	for _, c := range request.GetCells() {
		check := &pb.CellCheck{CellId: c.GetId()}
		if r.mode == "raw-new" {
			check.Edge, check.Loops = 17, []pb.Loop{pb.Loop_LOOP_BATCH, 17}
			check = newer(check)
		}
		response.Cells = append(response.Cells, check)
	}
	return response, nil
}

type rawBackend struct {
	pb.UnimplementedBackendServiceServer
	raw *rawPlugin
}

func (b rawBackend) Load(_ *pb.LoadRequest, stream grpc.ServerStreamingServer[pb.LoadResponse]) error {
	report := &pb.LoadReport{Engine: "raw"}
	if b.raw.mode == "raw-new" {
		stage := &pb.Stage{Kind: 17, Moment: pb.StageMoment_STAGE_MOMENT_BEGIN, MonoNs: sdk.MonoNow()}
		if err := stream.Send(&pb.LoadResponse{Event: &pb.LoadResponse_Stage{Stage: newer(stage)}}); err != nil {
			return err
		}
		// An event of a kind that this version does not have.
		if err := stream.Send(newer(&pb.LoadResponse{})); err != nil {
			return err
		}
		report = newer(report)
	}
	return stream.Send(&pb.LoadResponse{Event: &pb.LoadResponse_Report{Report: report}})
}

func (b rawBackend) Prepare(stream grpc.ClientStreamingServer[pb.PrepareRequest, pb.PrepareResponse]) error {
	hash, count := sdk.NewTokenHasher(), uint32(0)
	for {
		request, err := stream.Recv()
		if err != nil {
			break
		}
		for _, item := range request.GetItems() {
			hash.Add(sdk.WorkItem{TokenIDs: item.GetTokenIds(), MaxTokens: item.GetMaxTokens()})
			count++
		}
	}
	sum := hash.Sum()
	return stream.SendAndClose(&pb.PrepareResponse{WorkId: "w", Count: count, TokenHash: sum[:]})
}

func (b rawBackend) Run(request *pb.RunRequest, stream grpc.ServerStreamingServer[pb.RunResponse]) error {
	send := func(m *pb.RunResponse) error {
		if b.raw.mode == "raw-new" {
			m = newer(m)
		}
		return stream.Send(m)
	}
	begin := sdk.MonoNow()
	if err := send(&pb.RunResponse{Event: &pb.RunResponse_Started{Started: &pb.Started{MonoNs: begin}}}); err != nil {
		return err
	}
	switch b.raw.mode {
	case "raw-silent":
		return nil
	case "raw-flood":
		for {
			beat := &pb.Heartbeat{MonoNs: sdk.MonoNow()}
			if err := send(&pb.RunResponse{Event: &pb.RunResponse_Heartbeat{Heartbeat: beat}}); err != nil {
				return err
			}
		}
	case "raw-new":
		if err := send(&pb.RunResponse{}); err != nil {
			return err
		}
	}
	at := sdk.MonoNow()
	done := []*pb.Completion{
		{Request: 0, SentNs: begin, FirstNs: at, LastNs: at, PromptTokens: 3, OutputTokens: 4, FinishReason: "length"},
		{Request: 1, SentNs: begin, FirstNs: at, LastNs: at, PromptTokens: 3, OutputTokens: 4, FinishReason: "length"},
	}
	pass := &pb.Pass{BeginNs: begin, EndNs: sdk.MonoNow() + 1, Requests: 2, PromptTokens: 6, OutputTokens: 8}
	finished := &pb.Finished{MonoNs: pass.EndNs, Reason: pb.FinishReason_FINISH_REASON_LIMIT, Applied: request, Completions: 2, Passes: 1, OutputTokens: 8}
	if b.raw.mode == "raw-new" {
		finished.Reason = 17
		done[0] = newer(done[0])
	}
	for _, m := range []*pb.RunResponse{
		{Event: &pb.RunResponse_Completions{Completions: &pb.Completions{Items: done}}},
		{Event: &pb.RunResponse_Pass{Pass: pass}},
		{Event: &pb.RunResponse_Finished{Finished: finished}},
	} {
		if err := send(m); err != nil {
			return err
		}
	}
	return nil
}

type rawSource struct {
	pb.UnimplementedEnergySourceServiceServer
}

func (rawSource) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) {
	return &pb.OpenResponse{Domains: []*pb.Domain{{Id: "psys", Reading: pb.Reading_READING_COUNTER, Unit: 17, UnitNumerator: 1, UnitDenominator: 1}}}, nil
}

// whole drives a raw plugin through a life and returns its end.
func whole(t *testing.T, p *Plugin) (sdk.Finished, []sdk.StageEvent, error) {
	t.Helper()
	var stages []sdk.StageEvent
	if _, err := p.Load(t.Context(), sdk.LoadRequest{Cell: cell}, func(s sdk.StageEvent) { stages = append(stages, s) }); err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(t.Context(), work(2))
	if err != nil {
		t.Fatal(err)
	}
	finished, err := p.Run(t.Context(), sdk.RunSpec{
		WorkID: prepared.WorkID, Loop: sdk.LoopBatch, RequestsPerPass: 2, Record: sdk.RecordRequest, MaxPasses: 1,
	}, func(sdk.RunEvent) error { return nil })
	return finished, stages, err
}

func TestAPluginOlderThanTheHost(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "raw-old")
	d := p.Description()
	if d.ProtocolMinor != 0 || len(d.Features) != 0 || d.UnknownFieldsSet {
		t.Errorf("description is %+v", d)
	}
	finished, _, err := whole(t, p)
	if err != nil || finished.Before != nil || finished.After != nil || finished.Completions != 2 {
		t.Errorf("finished is %+v, %v", finished, err)
	}
	// What it does not have is refused by name, not by a crash.
	for name, call := range map[string]func() error{
		"counters": func() error { _, err := p.Counters(t.Context()); return err },
		"tokenize": func() error { _, err := p.Tokenize(t.Context(), []string{"a"}); return err },
		"stop":     func() error { _, err := p.Stop(t.Context(), sdk.StopDrain); return err },
	} {
		if err := call(); !errors.Is(err, sdk.UnsupportedFeature) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestAPluginNewerThanTheHost(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "raw-new")
	d := p.Description()
	if d.ProtocolMinor != 99 || len(d.Features) != 2 || !d.UnknownFieldsSet || d.Kinds[1] != "unknown(17)" || d.BackendSchema[0].Type != "unknown(17)" {
		t.Errorf("description is %+v", d)
	}
	checks, err := p.Check(t.Context(), []sdk.Cell{cell}, sdk.DepthStatic)
	if err != nil || checks[0].Edge != "unknown(17)" || checks[0].Loops[1] != "unknown(17)" {
		t.Errorf("checks are %+v, %v", checks, err)
	}
	finished, stages, err := whole(t, p)
	if err != nil || finished.Reason != "unknown(17)" || finished.Completions != 2 {
		t.Errorf("finished is %+v, %v", finished, err)
	}
	if len(stages) != 1 || stages[0].Kind != "unknown(17)" {
		t.Errorf("stages are %+v", stages)
	}
}

func TestAnUnknownUnitIsRefusedByName(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "raw-unit")
	if _, err := p.Open(t.Context(), sdk.OpenRequest{}); err == nil || !strings.Contains(err.Error(), `the unit of energy domain "psys" has the value 17`) {
		t.Errorf("got %v", err)
	}
}

func TestAFloodIsStopped(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "raw-flood")
	begin := time.Now()
	_, _, err := whole(t, p)
	var lie *LieError
	if !errors.As(err, &lie) || !strings.Contains(lie.What, "messages in") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAnEndWithoutAClosingRecord(t *testing.T) {
	t.Parallel()
	p := mustStart(t, "raw-silent")
	if _, _, err := whole(t, p); !errors.Is(err, PluginLied) {
		t.Errorf("got %v", err)
	}
}

// The other direction: a host newer than the plugin's SDK.
func TestAPluginRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	p, spec := ready(t, "", 2)
	for name, call := range map[string]func() error{
		"a field": func() error { _, err := p.backend.Stop(t.Context(), newer(&pb.StopRequest{Kind: 1})); return err },
		"a field of a cell": func() error {
			_, err := p.identity.Check(t.Context(), &pb.CheckRequest{Depth: 1, Cells: []*pb.Cell{{Model: newer(&pb.Model{})}}})
			return err
		},
		"a field in a stream": func() error {
			stream, err := p.backend.Prepare(t.Context())
			if err != nil {
				return err
			}
			first := &pb.PrepareRequest{Header: &pb.WorkHeader{}, Items: []*pb.WorkItem{{MaxTokens: 1}}}
			if err := stream.Send(first); err != nil {
				return err
			}
			if err := stream.Send(&pb.PrepareRequest{Items: []*pb.WorkItem{newer(&pb.WorkItem{MaxTokens: 1})}}); err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()
			return err
		},
		"a field of a Run": func() error {
			stream, err := p.backend.Run(t.Context(), newer(&pb.RunRequest{WorkId: spec.WorkID}))
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
	} {
		if err := p.failed("call", call()); !errors.Is(err, sdk.InvalidRequest) || !strings.Contains(err.Error(), "rebuild the plugin") {
			t.Errorf("%s gives %v", name, err)
		}
	}
	_, err := p.backend.Counters(t.Context(), &pb.CountersRequest{RequiredFeatures: []string{"telepathy"}})
	if err := p.failed("counters", err); !errors.Is(err, sdk.UnsupportedFeature) || !strings.Contains(err.Error(), `"telepathy"`) {
		t.Errorf("an unknown feature gives %v", err)
	}
	// Describe is how two versions learn of each other: it answers anyway.
	if _, err := p.identity.Describe(t.Context(), newer(&pb.DescribeRequest{})); err != nil {
		t.Errorf("describe: %v", err)
	}
}
