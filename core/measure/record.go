package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// feed is what comes from one domain of a source.
type feed struct {
	domain  energy.Domain
	builder *energy.Builder
	flood   floodGauge
	mark    watermark
}

// record appends a source's batches until the stream ends.
func (r *recorder) record(ctx context.Context, source *openSource) {
	err := source.Sensor.Stream(ctx, func(batch sdk.SampleBatch) error {
		feed := source.feeds[batch.DomainID]
		if feed == nil {
			return fmt.Errorf("samples of an unknown domain %q", batch.DomainID)
		}
		now := sdk.MonoNow()
		if err := feed.flood.take(batch, now); err != nil {
			return err
		}
		if err := fromTheFuture(batch, now); err != nil {
			return err
		}
		feed.builder.Append(energy.Batch{
			Sequence: batch.Sequence, Epoch: batch.Epoch, Dropped: batch.Dropped,
			CompleteUntilNs: batch.CompleteUntilNs, StampsNs: batch.MonoNs, Values: batch.Values,
		})
		feed.mark.advance(batch.CompleteUntilNs, now)
		return nil
	})
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = errors.New("its stream ended although nobody closed it")
	}
	r.mu.Lock()
	r.failed[source.Name] = err
	r.mu.Unlock()
	if errors.Is(err, host.SourceFlood) && source.Kill != nil {
		// Whatever it goes on doing takes CPU from the load that is measured.
		source.Kill()
	}
}

// mostAhead is how far a stamp may lie ahead of this process's clock: stamps
// that are mapped from another clock are off by less.
const mostAhead = int64(time.Second)

// fromTheFuture refuses a batch with an impossible stamp. One such sample would
// make every later one look late, and span windows with energy of no time.
func fromTheFuture(batch sdk.SampleBatch, nowNs int64) error {
	latest := batch.CompleteUntilNs
	for _, ns := range batch.MonoNs {
		latest = max(latest, ns)
	}
	if ahead := latest - nowNs; ahead > mostAhead {
		return fmt.Errorf("a stamp of domain %q lies %.1f s in the future; its source does not use CLOCK_MONOTONIC, or is damaged", batch.DomainID, float64(ahead)/1e9)
	}
	return nil
}

// failure returns why a source stopped delivering, or nil.
func (r *recorder) failure(source string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed[source]
}

// traces returns the recordings so far, by domain id.
func (r *recorder) traces() map[string]*energy.Trace {
	traces := map[string]*energy.Trace{}
	for _, s := range r.sources {
		for _, f := range s.feeds {
			traces[f.domain.ID] = f.builder.Snapshot()
		}
	}
	return traces
}

// A trial needs the recordings from some time before its load on: a gate looks
// at the last 3 s, and power.parquet keeps 10 s or 20 periods, and the sensor's
// lag and average, before the load's end. This is more.
const (
	keptNs      = int64(30e9)
	keptPeriods = 25
)

// trim forgets what no trial that begins now or later needs, so that a long
// study does not grow. It is called between trials.
func (r *recorder) trim(nowNs int64) {
	for _, s := range r.sources {
		for _, f := range s.feeds {
			kept := max(keptNs, keptPeriods*f.builder.Snapshot().PeriodNs())
			f.builder.TrimBefore(nowNs - kept - f.domain.LagNs - f.domain.AveragingNs)
		}
	}
}
