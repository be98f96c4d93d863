package openaiserver

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// quietLimit is how long an engine without requests may say that it is busy before
// its counters are read all the same.
const quietLimit = 2 * time.Second

const quietPoll = 10 * time.Millisecond

// Counters implements sdk.Counting: a scrape of an idle engine.
func (b *backend) Counters(ctx context.Context) (sdk.Counters, error) {
	if b.engine.Count != nil {
		return b.count(ctx)
	}
	if b.engine.Metrics.Path == "" {
		return sdk.Counters{MonoNs: sdk.MonoNow()}, nil
	}
	found, at, err := b.scrapeQuiet(ctx, quietLimit)
	if err != nil {
		return sdk.Counters{}, err
	}
	c := b.engine.Metrics.counters(found)
	c.MonoNs = at
	return c, nil
}

// scrapeQuiet reads the metrics until they say that the engine is idle.
func (b *backend) scrapeQuiet(ctx context.Context, limit time.Duration) (series, int64, error) {
	ticker := time.NewTicker(quietPoll)
	defer ticker.Stop()
	for deadline := time.Now().Add(limit); ; {
		found, err := b.scrape(ctx)
		at := sdk.MonoNow()
		if err != nil || !b.engine.Metrics.busy(found) || time.Now().After(deadline) {
			return found, at, err
		}
		select {
		case <-ctx.Done():
			return nil, at, ctx.Err()
		case <-b.exited():
			return nil, at, b.died("read the metrics")
		case <-ticker.C:
		}
	}
}

func (b *backend) scrape(ctx context.Context) (series, error) {
	text, err := b.server.Get(ctx, b.engine.Metrics.Path)
	if err != nil {
		return nil, b.unread(ctx, err)
	}
	found, err := parseMetrics(text)
	if err != nil {
		return nil, fmt.Errorf("read %s%s: %w", b.server.URL, b.engine.Metrics.Path, err)
	}
	for _, name := range b.server.mistrusted {
		delete(found, name)
	}
	return found, nil
}

// count asks the engine's own way, which may take seconds: a server that was started
// here has nothing to add until the next Run.
func (b *backend) count(ctx context.Context) (sdk.Counters, error) {
	if b.counted != nil && b.process != nil && !b.process.dead() {
		return *b.counted, nil
	}
	c, notes, err := b.engine.Count(ctx, b.server)
	b.notes = append(b.notes, notes...)
	if err != nil {
		if ctx.Err() == nil {
			err = b.unread(ctx, err)
		}
		return c, err
	}
	b.counted = &c
	return c, nil
}

// unread says why metrics could not be read: the server's end if it ends soon.
func (b *backend) unread(ctx context.Context, err error) error {
	if b.process != nil && ctx.Err() == nil {
		b.process.await(ctx, goneWait)
		if b.process.dead() {
			return b.died("read the metrics")
		}
	}
	return &sdk.Error{Code: sdk.EngineCrashed, Message: b.hide(err.Error()), Advice: "see the server's log"}
}

func (m Metrics) busy(found series) bool {
	return slices.ContainsFunc(m.Busy, func(name string) bool { return found[name] != 0 })
}

func (m Metrics) counters(found series) sdk.Counters {
	count := func(name string) *int64 {
		value, ok := found[name]
		if !ok {
			return nil
		}
		n := int64(math.Round(value))
		return &n
	}
	c := sdk.Counters{
		EngineSteps: count(m.EngineSteps), PromptTokens: count(m.PromptTokens), OutputTokens: count(m.OutputTokens),
		CachedPromptTokens: count(m.CachedPromptTokens), Preemptions: count(m.Preemptions), PaddingTokens: count(m.PaddingTokens),
		ScheduledTokens: count(m.ScheduledTokens), Recompiles: count(m.Recompiles), SpecAccepted: count(m.SpecAccepted),
	}
	if m.CachedInPrompt && c.PromptTokens != nil && c.CachedPromptTokens != nil {
		*c.PromptTokens += *c.CachedPromptTokens
	}
	if mean, ok := found[m.RunningMean]; ok {
		c.RunningMean = &mean
	}
	for _, n := range m.Named {
		if value, ok := found[n.Name]; ok {
			c.Named = append(c.Named, sdk.NamedMetric{Name: n.Name, Unit: n.Unit, Direction: n.Direction, Value: value})
		}
	}
	return c
}
