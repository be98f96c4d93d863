package plugintest_test

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// sloppy is an energy source without package serve: it answers requests that
// it does not understand, and is right in everything else.
type sloppy struct {
	pb.UnimplementedPluginServiceServer
	pb.UnimplementedEnergySourceServiceServer
}

func serveSloppy() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: transport.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{transport.Major: {transport.Name: &transport.Services{Register: func(s *grpc.Server) {
			pb.RegisterPluginServiceServer(s, sloppy{})
			pb.RegisterEnergySourceServiceServer(s, sloppy{})
		}}}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}

func (sloppy) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return &pb.DescribeResponse{
		Name: "sloppy", Version: "1.0.0", Doc: "It takes anything.", BootId: sdk.BootID(),
		Kinds: wire.ToKinds([]sdk.Kind{sdk.KindEnergySource}), MonoNowNs: sdk.MonoNow(),
	}, nil
}

func (sloppy) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) {
	return nil, wire.ToError(&sdk.Error{Code: sdk.DeviceMissing, Message: "there is no sensor"})
}

func (sloppy) Stream(*pb.StreamRequest, grpc.ServerStreamingServer[pb.StreamResponse]) error {
	return wire.ToError(&sdk.Error{Code: sdk.CallOrder, Message: "Open comes first"})
}

func (sloppy) Close(context.Context, *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, nil
}
