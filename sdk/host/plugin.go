package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// Deadlines of calls that have no heartbeats. An earlier deadline of the
// caller's context wins.
const (
	unaryTimeout   = 10 * time.Second
	checkTimeout   = 2 * time.Minute
	prepareTimeout = 10 * time.Minute
	openTimeout    = time.Minute
)

// failed turns the error of a call into one that names the cause: the plugin's
// own error, its death, or the end of ctx.
func (p *Plugin) failed(phase string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := wire.FromError(err); ok {
		return e
	}
	switch status.Code(err) {
	case grpccodes.Unavailable:
		select {
		case <-p.runner.Exited():
		case <-time.After(time.Second):
		}
		code, signal, exited := p.runner.ExitState()
		if exited {
			// The stderr reader may be a moment behind the exit.
			time.Sleep(lastWords / 2)
			return &DiedError{Plugin: p.description.Name, Phase: phase, ExitCode: code, Signal: signal, StderrTail: p.runner.StderrTail()}
		}
		return fmt.Errorf("%s: plugin %s closed its connection: %w", phase, p.description.Name, err)
	case grpccodes.DeadlineExceeded:
		return fmt.Errorf("%s: plugin %s did not answer in time: %w", phase, p.description.Name, context.DeadlineExceeded)
	case grpccodes.Canceled:
		return fmt.Errorf("%s: %w", phase, context.Canceled)
	case grpccodes.Unimplemented:
		return &sdk.Error{Code: sdk.UnsupportedFeature, Phase: phase, Message: fmt.Sprintf("plugin %s does not have this call", p.description.Name)}
	}
	return fmt.Errorf("%s: plugin %s: %w", phase, p.description.Name, err)
}

// Check lets the plugin judge cells.
func (p *Plugin) Check(ctx context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	messages, err := wire.ToCells(cells)
	if err != nil {
		return nil, err
	}
	response, err := p.identity.Check(ctx, &pb.CheckRequest{Cells: messages, Depth: wire.ToDepth(depth)})
	if err != nil {
		return nil, p.failed("check", err)
	}
	var checks []sdk.CellCheck
	for _, c := range response.GetCells() {
		checks = append(checks, wire.FromCheck(c))
	}
	return checks, nil
}

// loadHeartbeat is the period of a Load's heartbeats.
const loadHeartbeat = time.Second

// Load loads the engine. It has no deadline but the caller's: it goes on while
// heartbeats arrive.
func (p *Plugin) Load(ctx context.Context, req sdk.LoadRequest, onStage func(sdk.StageEvent)) (sdk.LoadReport, error) {
	cell, err := wire.ToCell(req.Cell)
	if err != nil {
		return sdk.LoadReport{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.backend.Load(ctx, &pb.LoadRequest{
		Cell: cell, DeviceIds: req.DeviceIDs, WorkDir: req.WorkDir, CacheDir: req.CacheDir,
		Secrets: req.Secrets, HeartbeatMs: uint32(loadHeartbeat.Milliseconds()),
	})
	if err != nil {
		return sdk.LoadReport{}, p.failed("load", err)
	}
	watched := p.watch(ctx, cancel, "load", loadHeartbeat)
	defer watched.stop()
	for {
		message, err := stream.Recv()
		if lost := watched.lost(); lost != nil {
			return sdk.LoadReport{}, lost
		}
		if errors.Is(err, io.EOF) {
			return sdk.LoadReport{}, fmt.Errorf("load: plugin %s ended its answer without a report", p.description.Name)
		}
		if err != nil {
			return sdk.LoadReport{}, p.failed("load", err)
		}
		watched.alive()
		switch event := message.GetEvent().(type) {
		case *pb.LoadResponse_Stage:
			if onStage != nil {
				onStage(wire.FromStage(event.Stage))
			}
		case *pb.LoadResponse_Report:
			return wire.FromReport(event.Report)
		}
	}
}

// Tokenize turns texts into token ids, if the backend can.
func (p *Plugin) Tokenize(ctx context.Context, texts []string) ([][]uint32, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	stream, err := p.backend.Tokenize(ctx)
	if err != nil {
		return nil, p.failed("tokenize", err)
	}
	var all [][]uint32
	for from := 0; from < len(texts); {
		// A chunk is bounded in bytes, so that a message stays below the limit.
		to, size := from, 0
		for to < len(texts) && (to == from || size+len(texts[to]) < chunkBytes) {
			size += len(texts[to])
			to++
		}
		if err := stream.Send(&pb.TokenizeRequest{Texts: texts[from:to]}); err != nil && !errors.Is(err, io.EOF) {
			return nil, p.failed("tokenize", err)
		}
		response, err := stream.Recv()
		if err != nil {
			return nil, p.failed("tokenize", err)
		}
		if len(response.GetSequences()) != to-from {
			return nil, &LieError{Plugin: p.description.Name, What: fmt.Sprintf("%d sequences for %d texts", len(response.GetSequences()), to-from)}
		}
		for _, s := range response.GetSequences() {
			all = append(all, s.GetIds())
		}
		from = to
	}
	return all, p.failed("tokenize", stream.CloseSend())
}

// Prepared is a work that a backend holds.
type Prepared struct {
	WorkID    string
	Count     int
	TokenHash [32]byte
}

// chunkBytes bounds the messages of streams to a plugin.
const chunkBytes = 512 << 10

// Prepare hands a work over and checks that it arrived whole.
func (p *Plugin) Prepare(ctx context.Context, work *sdk.Work) (Prepared, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	stream, err := p.backend.Prepare(ctx)
	if err != nil {
		return Prepared{}, p.failed("prepare", err)
	}
	request := &pb.PrepareRequest{Header: wire.ToWorkHeader(work)}
	size := 0
	send := func() error {
		err := stream.Send(request)
		request, size = &pb.PrepareRequest{}, 0
		if errors.Is(err, io.EOF) {
			return nil // CloseAndRecv has the reason
		}
		return err
	}
	for _, item := range work.Items {
		request.Items = append(request.Items, wire.ToWorkItem(item))
		// A token id takes at most 5 bytes.
		if size += 32 + 5*len(item.TokenIDs); size > chunkBytes {
			if err := send(); err != nil {
				return Prepared{}, p.failed("prepare", err)
			}
		}
	}
	if err := send(); err != nil {
		return Prepared{}, p.failed("prepare", err)
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return Prepared{}, p.failed("prepare", err)
	}
	want := sdk.TokenHash(work.Items)
	if int(response.GetCount()) != len(work.Items) || string(response.GetTokenHash()) != string(want[:]) {
		return Prepared{}, &LieError{Plugin: p.description.Name, What: fmt.Sprintf("it holds %d requests with another token hash than the %d sent", response.GetCount(), len(work.Items))}
	}
	return Prepared{WorkID: response.GetWorkId(), Count: len(work.Items), TokenHash: want}, nil
}

// Stop ends the Run in progress in an orderly way.
func (p *Plugin) Stop(ctx context.Context, kind sdk.StopKind) (wasRunning bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	response, err := p.backend.Stop(ctx, &pb.StopRequest{Kind: wire.ToStopKind(kind)})
	return response.GetWasRunning(), p.failed("stop", err)
}

// Counters reads the engine's counters; nil without an error means that the
// backend has none.
func (p *Plugin) Counters(ctx context.Context) (*sdk.Counters, error) {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	response, err := p.backend.Counters(ctx, &pb.CountersRequest{})
	if err != nil {
		return nil, p.failed("counters", err)
	}
	return wire.FromCounters(response.GetCounters()), nil
}

// Unload frees the engine. Its deadline is the caller's.
func (p *Plugin) Unload(ctx context.Context) error {
	request := &pb.UnloadRequest{}
	if deadline, ok := ctx.Deadline(); ok {
		request.DeadlineMs = uint32(max(1, time.Until(deadline).Milliseconds()))
	}
	_, err := p.backend.Unload(ctx, request)
	return p.failed("unload", err)
}
