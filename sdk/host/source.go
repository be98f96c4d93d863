package host

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/pb"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// Open opens the plugin's sensors.
func (p *Plugin) Open(ctx context.Context, req sdk.OpenRequest) ([]sdk.Domain, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	parameters, err := wire.ToTable(req.Parameters)
	if err != nil {
		return nil, err
	}
	response, err := p.source.Open(ctx, &pb.OpenRequest{Parameters: parameters, Secrets: req.Secrets})
	if err != nil {
		return nil, p.failed("open", err)
	}
	var domains []sdk.Domain
	for _, d := range response.GetDomains() {
		domain, err := wire.FromDomain(d)
		if err != nil {
			return nil, err
		}
		domains = append(domains, domain)
	}
	warnings := wire.FromWarnings(response.GetWarnings())
	p.openWarnings.Store(&warnings)
	return domains, nil
}

// OpenWarnings is what the source said of what it opened; nil before Open.
func (p *Plugin) OpenWarnings() []sdk.Warning {
	if list := p.openWarnings.Load(); list != nil {
		return *list
	}
	return nil
}

// mostBatchSamples is the largest batch that is passed on, about what a message
// of the contract's 1 MiB has room for.
const mostBatchSamples = 1 << 17

// Stream delivers samples until ctx ends or the source ends its stream. Batches
// are passed on as they are, but for one that is too large, which is a
// SourceFlood; judging them is the recording's business.
func (p *Plugin) Stream(ctx context.Context, on func(sdk.SampleBatch) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.source.Stream(ctx, &pb.StreamRequest{})
	if err != nil {
		return p.failed("stream", err)
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return p.failed("stream", err)
		}
		batch := wire.FromBatch(message)
		if n := max(len(batch.MonoNs), len(batch.Values)); n > mostBatchSamples {
			return &sdk.Error{
				Code: SourceFlood, Phase: "stream",
				Message: fmt.Sprintf("%s: plugin %s sent a batch of %d samples and may send %d", string(SourceFlood), p.name(), n, mostBatchSamples),
			}
		}
		if err := on(batch); err != nil {
			return err
		}
	}
}

// Close closes the sensors; the process goes on until Kill.
func (p *Plugin) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unaryTimeout)
	defer cancel()
	_, err := p.source.Close(ctx, &pb.CloseRequest{})
	return p.failed("close", err)
}
