package plugintest

import (
	"fmt"

	"github.com/llenergymeasure/llem/sdk"
)

// domainJudge holds a domain's batches against each other and the clock.
type domainJudge struct {
	domain    sdk.Domain
	batches   uint64 // with or without samples
	full      int    // with samples
	epoch     uint32
	last      int64 // stamp of the last sample
	value     int64 // of the last sample
	watermark int64
}

func (j *domainJudge) enough() bool { return j.full >= wantedBatches }

// batch judges one batch by all that came before it.
func (j *domainJudge) batch(b sdk.SampleBatch) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("batch %d of domain %q: %w", b.Sequence, b.DomainID, fmt.Errorf(format, args...))
	}
	now := sdk.MonoNow()
	switch {
	case b.Sequence != j.batches:
		return wrong("batch %d was its turn", j.batches)
	case len(b.MonoNs) != len(b.Values):
		return wrong("it has %d stamps and %d values", len(b.MonoNs), len(b.Values))
	case j.batches > 0 && b.Epoch < j.epoch:
		return wrong("the epoch fell from %d to %d", j.epoch, b.Epoch)
	case b.CompleteUntilNs < j.watermark:
		return wrong("the watermark fell by %d ns", j.watermark-b.CompleteUntilNs)
	case b.CompleteUntilNs > now+stampTolerance:
		return wrong("the watermark lies %d ns in the future", b.CompleteUntilNs-now)
	}
	for i, stamp := range b.MonoNs {
		first := j.full == 0 && i == 0
		switch {
		case !first && stamp <= j.last:
			return wrong("sample %d is stamped %d ns before the one before it, or at the same time", i, j.last-stamp)
		case stamp <= j.watermark:
			return wrong("sample %d is stamped before the watermark of the batch before", i)
		case stamp > b.CompleteUntilNs:
			return wrong("sample %d is stamped %d ns after the batch's own watermark", i, stamp-b.CompleteUntilNs)
		case !first && j.domain.Reading == sdk.ReadingCounter && b.Epoch == j.epoch && b.Values[i] < j.value:
			return wrong("the counter fell from %d to %d within an epoch", j.value, b.Values[i])
		}
		j.last, j.value, j.epoch = stamp, b.Values[i], b.Epoch
	}
	if len(b.MonoNs) > 0 {
		j.full++
	}
	j.epoch, j.watermark = b.Epoch, b.CompleteUntilNs
	j.batches++
	return nil
}
