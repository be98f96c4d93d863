package host

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// This file holds the calls that no host makes: those with which the
// conformance suite sees whether a plugin refuses what it must refuse.

// CallWithUnknownField sends a request with a field that no version of the
// contract has, and returns the plugin's answer. It is for the conformance
// suite: a correct plugin answers with InvalidRequest.
func (p *Plugin) CallWithUnknownField(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	if slices.Contains(p.description.Kinds, sdk.KindBackend) {
		model := withUnknownField(&pb.Model{Id: "unknown field"})
		_, err := p.identity.Check(ctx, &pb.CheckRequest{
			Depth: wire.ToDepth(sdk.DepthStatic), Cells: []*pb.Cell{{Id: "unknown field", Model: model}},
		})
		return p.failed("check", err)
	}
	_, err := p.source.Close(ctx, withUnknownField(&pb.CloseRequest{}))
	return p.failed("close", err)
}

// CallWithUnknownFeature sends a request that requires a feature which no
// plugin has, and returns the plugin's answer. It is for the conformance
// suite: a correct plugin answers with UnsupportedFeature.
func (p *Plugin) CallWithUnknownFeature(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	feature := []string{"conformance-no-such-feature"}
	if slices.Contains(p.description.Kinds, sdk.KindBackend) {
		_, err := p.backend.Counters(ctx, &pb.CountersRequest{RequiredFeatures: feature})
		return p.failed("counters", err)
	}
	_, err := p.source.Close(ctx, &pb.CloseRequest{RequiredFeatures: feature})
	return p.failed("close", err)
}

// RunUnchecked asks for a Run without the host's own bookkeeping, which would
// refuse an unknown work before the plugin sees it, and returns how it ended.
// It is for the conformance suite, to see Runs refused.
func (p *Plugin) RunUnchecked(ctx context.Context, spec sdk.RunSpec) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	stream, err := p.backend.Run(ctx, wire.ToRunSpec(spec))
	if err != nil {
		return p.failed("run", err)
	}
	for {
		_, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return p.failed("run", err)
		}
	}
}

// withUnknownField adds a field near the greatest number that one can have.
func withUnknownField[M proto.Message](m M) M {
	field := protowire.AppendTag(nil, protowire.MaxValidNumber-1, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendString(field, "x"))
	return m
}
