package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/transport"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// Deadlines of calls that have no heartbeats. An earlier deadline of the
// caller's context wins.
const (
	unaryTimeout   = 10 * time.Second
	checkTimeout   = 2 * time.Minute
	prepareTimeout = 2 * time.Minute
	openTimeout    = time.Minute
	unloadTimeout  = time.Minute
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
	code := status.Code(err)
	if code == grpccodes.Unavailable {
		// The connection can break a moment before the kernel reports why.
		select {
		case <-p.child.Exited():
		case <-time.After(time.Second):
		}
	}
	if exitCode, signal, exited := p.child.ExitState(); exited {
		return &DiedError{Plugin: p.name(), Phase: phase, ExitCode: exitCode, Signal: signal, StderrTail: p.child.lastLines()}
	}
	switch code {
	case grpccodes.Unavailable:
		return fmt.Errorf("%s: plugin %s closed its connection: %w", phase, p.name(), err)
	case grpccodes.DeadlineExceeded:
		return fmt.Errorf("%s: plugin %s did not answer in time: %w", phase, p.name(), context.DeadlineExceeded)
	case grpccodes.Canceled:
		return fmt.Errorf("%s: %w", phase, context.Canceled)
	case grpccodes.Unimplemented:
		return &sdk.Error{Code: sdk.UnsupportedFeature, Phase: phase, Message: fmt.Sprintf("plugin %s does not have this call", p.name())}
	case grpccodes.ResourceExhausted:
		return p.lie(phase, "a message above the contract's limit of %d bytes: %v", transport.MostMessageBytes, status.Convert(err).Message())
	}
	return fmt.Errorf("%s: plugin %s: %w", phase, p.name(), err)
}

func (p *Plugin) lie(phase, format string, args ...any) error {
	return &LieError{Plugin: p.name(), Phase: phase, What: fmt.Sprintf(format, args...)}
}

// Check lets the plugin judge cells, and returns one verdict for each, in
// order. Many cells go in several calls.
func (p *Plugin) Check(ctx context.Context, cells []sdk.Cell, depth sdk.Depth) ([]sdk.CellCheck, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	messages, err := wire.ToCells(cells)
	if err != nil {
		return nil, err
	}
	var checks []sdk.CellCheck
	for from := 0; from < len(messages); {
		to, size := from, 0
		for to < len(messages) && (to == from || size+proto.Size(messages[to]) < checkBytes) {
			size += proto.Size(messages[to])
			to++
		}
		response, err := p.identity.Check(ctx, &pb.CheckRequest{Cells: messages[from:to], Depth: wire.ToDepth(depth)})
		if err != nil {
			return nil, p.failed("check", err)
		}
		if len(response.GetCells()) != to-from {
			return nil, p.lie("check", "%d verdicts on %d cells", len(response.GetCells()), to-from)
		}
		for i, c := range response.GetCells() {
			if c.GetCellId() != cells[from+i].ID {
				return nil, p.lie("check", "a verdict on cell %q where cell %q was asked about", c.GetCellId(), cells[from+i].ID)
			}
			checks = append(checks, wire.FromCheck(c))
		}
		from = to
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
	var flood floodGauge
	for {
		message, err := stream.Recv()
		if lost := watched.heard(); lost != nil {
			return sdk.LoadReport{}, lost
		}
		if errors.Is(err, io.EOF) {
			return sdk.LoadReport{}, p.lie("load", "its answer ended without a report")
		}
		if err != nil {
			return sdk.LoadReport{}, p.failed("load", err)
		}
		if flood.tooMany(loadHeartbeat, 0) {
			return sdk.LoadReport{}, p.lie("load", "%d messages in %.1f s", flood.messages, flood.seconds())
		}
		switch event := message.GetEvent().(type) {
		case *pb.LoadResponse_Stage:
			if onStage != nil {
				watched.during(func() { onStage(wire.FromStage(event.Stage)) })
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
		if len(texts[from]) > mostTextBytes {
			return nil, &sdk.Error{
				Code: sdk.InvalidRequest, Phase: "tokenize",
				Message: fmt.Sprintf("text %d has %d bytes and one text may have %d", from, len(texts[from]), mostTextBytes),
			}
		}
		// A message is bounded in bytes; a byte of text may become a token id
		// of three or four.
		to, size := from, 0
		for to < len(texts) && (to == from || size+len(texts[to]) < mostTextBytes) {
			size += len(texts[to])
			to++
		}
		if err := stream.Send(&pb.TokenizeRequest{Texts: texts[from:to]}); err != nil && !errors.Is(err, io.EOF) {
			return nil, p.failed("tokenize", err)
		}
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, p.lie("tokenize", "its answer ended after %d of %d texts", from, len(texts))
		}
		if err != nil {
			return nil, p.failed("tokenize", err)
		}
		if len(response.GetSequences()) != to-from {
			return nil, p.lie("tokenize", "%d sequences for %d texts", len(response.GetSequences()), to-from)
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

// Sizes of messages to a plugin, which must stay below the contract's limit,
// as must the answers to those of Check and Tokenize.
const (
	chunkBytes    = 512 << 10
	checkBytes    = 128 << 10
	mostTextBytes = 192 << 10
)

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
	for i, item := range work.Items {
		message := wire.ToWorkItem(item)
		bytes := proto.Size(message)
		if bytes > transport.MostMessageBytes-chunkBytes {
			return Prepared{}, &sdk.Error{
				Code: sdk.InvalidRequest, Phase: "prepare",
				Message: fmt.Sprintf("request %d has %d token ids, more than a message of %d bytes can hold", i, len(item.TokenIDs), transport.MostMessageBytes-chunkBytes),
			}
		}
		request.Items = append(request.Items, message)
		if size += bytes; size > chunkBytes {
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
		return Prepared{}, p.lie("prepare", "it holds %d requests with token hash %x; %d with %x were sent", response.GetCount(), response.GetTokenHash(), len(work.Items), want)
	}
	p.mu.Lock()
	p.prepared[response.GetWorkId()] = keepWork(work)
	p.mu.Unlock()
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

// Unload frees the engine, within a minute or the caller's deadline if that is
// earlier.
func (p *Plugin) Unload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unloadTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	_, err := p.backend.Unload(ctx, &pb.UnloadRequest{DeadlineMs: uint32(max(1, time.Until(deadline).Milliseconds()))})
	return p.failed("unload", err)
}
