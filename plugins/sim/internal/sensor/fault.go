package sensor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/llenergymeasure/llem/plugins/sim/internal/fault"
	"github.com/llenergymeasure/llem/sdk"
)

const (
	// gapNs is how long samples are lost.
	gapNs = int64(500e6)
	// backNs is how far stamps go back in time.
	backNs = int64(1e9)
	// floodNs is the distance of a flood's samples.
	floodNs = int64(1000)
	// exitStatus of a process that a fault ends.
	exitStatus = 7
)

// spoiler sends batches as the fault leaves them.
type spoiler struct {
	fault   *fault.Fault
	beganNs int64
	domains []spoilt
}

// spoilt is what a fault must remember of one domain.
type spoilt struct {
	last     sdk.SampleBatch // the last one before the fault
	sent     uint64          // batches sent
	dueNs    int64           // when the fault began; 0 = not yet
	lost     uint64
	originAt int64 // counts at a counter's restart
}

func newSpoiler(f *fault.Fault, beganNs int64, domains int) *spoiler {
	return &spoiler{fault: f, beganNs: beganNs, domains: make([]spoilt, domains)}
}

// emit sends a batch of the i-th domain. Its sequence stays without gaps: what
// is missing is missing at the sensor, not on the way.
func (s *spoiler) emit(ctx context.Context, i int, b sdk.SampleBatch, send func(sdk.SampleBatch) error) error {
	d := &s.domains[i]
	send = numbered(d, send)
	if !s.fault.Due(s.fault.Kind, s.beganNs) || s.fault.Kind == fault.None {
		d.last = b
		return send(b)
	}
	if d.dueNs == 0 {
		d.dueNs, d.originAt = sdk.MonoNow(), b.Values[0]
	}
	switch s.fault.Kind {
	case silence:
		return nil
	case end:
		return errors.New("simulated end of the stream")
	case exit:
		fmt.Fprintf(os.Stderr, "sim: simulated crash of the source, exit status %d\n", exitStatus)
		os.Exit(exitStatus)
	case repeat:
		if len(d.last.MonoNs) > 0 {
			b.MonoNs, b.Values = d.last.MonoNs, d.last.Values
		}
	case backwards:
		for k := range b.MonoNs {
			b.MonoNs[k] -= backNs
		}
	case stuck:
		b.CompleteUntilNs = d.last.CompleteUntilNs
	case gap:
		if sdk.MonoNow()-d.dueNs < gapNs {
			d.lost += uint64(len(b.MonoNs))
			return nil
		}
		b.Dropped, d.lost = d.lost, 0
	case restart:
		b.Epoch++
		for k := range b.Values {
			b.Values[k] -= d.originAt
		}
	case zeros:
		clear(b.Values)
	case flood:
		return s.spill(ctx, b, send)
	}
	return send(b)
}

// numbered gives what is sent its place in the domain's sequence.
func numbered(d *spoilt, send func(sdk.SampleBatch) error) func(sdk.SampleBatch) error {
	return func(b sdk.SampleBatch) error {
		b.Sequence = d.sent
		d.sent++
		return send(b)
	}
}

// spill sends the batch's span again as a million samples a second.
func (s *spoiler) spill(ctx context.Context, b sdk.SampleBatch, send func(sdk.SampleBatch) error) error {
	const most = 10_000 // samples of one message
	from, value := b.MonoNs[0], b.Values[0]
	b.MonoNs, b.Values = nil, nil
	for at := from; at <= b.CompleteUntilNs && ctx.Err() == nil; at += floodNs {
		b.MonoNs, b.Values = append(b.MonoNs, at), append(b.Values, value)
		if len(b.MonoNs) == most {
			part := b
			part.CompleteUntilNs = at
			if err := send(part); err != nil {
				return err
			}
			b.MonoNs, b.Values = nil, nil
		}
	}
	if len(b.MonoNs) == 0 {
		return nil
	}
	return send(b)
}
