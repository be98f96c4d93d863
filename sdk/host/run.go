package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/internal/wire"
)

// Run drives prepared work. on is called for every event, in order, the
// closing Finished included; an error of it ends the Run. The host does not
// take the plugin's word: counts, order and stamps are checked, and a
// contradiction is a *LieError. A ctx that ends makes Run return at once; the
// engine may take its declared time to be quiet.
func (p *Plugin) Run(ctx context.Context, spec sdk.RunSpec, on func(sdk.RunEvent) error) (sdk.Finished, error) {
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	work, prepared := p.prepared[spec.WorkID]
	p.mu.Unlock()
	if !prepared {
		return sdk.Finished{}, &sdk.Error{
			Code: sdk.InvalidRequest, Phase: "run", Message: fmt.Sprintf("there is no work %q; Prepare comes first", spec.WorkID),
		}
	}
	check := newVerifier(p.name(), spec, work)
	request := wire.ToRunSpec(spec)
	if spec.GapNsMost > 0 {
		request.RequiredFeatures = []string{sdk.FeaturePassGaps}
	}
	stream, err := p.backend.Run(streamCtx, request)
	if err != nil {
		return sdk.Finished{}, p.failed("run", err)
	}
	period := time.Duration(spec.HeartbeatMs) * time.Millisecond
	if period == 0 {
		period = time.Second
	}
	watched := p.watch(streamCtx, cancel, "run", period)
	defer watched.stop()
	var flood floodGauge
	for {
		message, err := stream.Recv()
		if lost := watched.heard(); lost != nil {
			return sdk.Finished{}, lost
		}
		if ctx.Err() != nil {
			return sdk.Finished{}, fmt.Errorf("run: %w", context.Cause(ctx))
		}
		if errors.Is(err, io.EOF) {
			return sdk.Finished{}, p.lie("run", "its stream ended without the closing record")
		}
		if err != nil {
			return sdk.Finished{}, p.failed("run", err)
		}
		if flood.tooMany(period, check.completions) {
			return sdk.Finished{}, p.lie("run", "%d messages in %.1f s for %d completions", flood.messages, flood.seconds(), check.completions)
		}
		event, err := wire.FromRunEvent(message)
		if err != nil {
			return sdk.Finished{}, err
		}
		if event == nil {
			continue // of a newer plugin, and only descriptive
		}
		if err := check.event(event); err != nil {
			return sdk.Finished{}, err
		}
		watched.during(func() { err = on(event) })
		if err != nil {
			return sdk.Finished{}, err
		}
		if finished, ok := event.(sdk.Finished); ok {
			return finished, nil
		}
	}
}
