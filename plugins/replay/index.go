package main

import (
	"context"
	"errors"
	"fmt"
)

// index says where the samples of each domain are, after one pass over the
// whole file that also finds what is wrong with it.
type index struct {
	domains []extent // by the file's numbers
}

// extent of one domain's samples.
type extent struct {
	blocks          []int
	count           int64
	firstNs, lastNs int64
	mostEpoch       uint32
}

// latestNs bounds stamps so that sums of two cannot overflow.
const latestNs = int64(1) << 62

func newIndex(ctx context.Context, t table) (index, error) {
	x := index{domains: make([]extent, len(t.recordings()))}
	for i := 0; ; i++ {
		if err := ctx.Err(); err != nil {
			return index{}, err
		}
		rows, err := t.block(i)
		if err != nil {
			return index{}, err
		}
		if len(rows) == 0 {
			break
		}
		for k, r := range rows {
			e := &x.domains[r.domain]
			if r.ns < 0 || r.ns > latestNs {
				return index{}, fmt.Errorf("sample %d: the stamp %d is no stamp", i*blockRows+k+1, r.ns)
			}
			if e.count > 0 && r.ns <= e.lastNs {
				return index{}, fmt.Errorf("sample %d: the stamp %d of %q is not behind the one before it, %d; sort the file by stamp_ns and keep one sample for each stamp",
					i*blockRows+k+1, r.ns, t.recordings()[r.domain].Domain.ID, e.lastNs)
			}
			if e.count == 0 {
				e.firstNs = r.ns
			}
			e.lastNs, e.mostEpoch = r.ns, max(e.mostEpoch, r.epoch)
			e.count++
			if n := len(e.blocks); n == 0 || e.blocks[n-1] != i {
				e.blocks = append(e.blocks, i)
			}
		}
	}
	return x, nil
}

// enough refuses a recording from which no energy could ever be computed.
func (x index) enough(chosen []int) error {
	most := int64(0)
	for _, i := range chosen {
		most = max(most, x.domains[i].count)
	}
	switch most {
	case 0:
		return errors.New("it has no sample")
	case 1:
		return errors.New("it has one sample, and energy needs two")
	}
	return nil
}

// span is the recorded time from the first to the last sample of the chosen
// domains.
func (x index) span(chosen []int) (fromNs, toNs int64) {
	fromNs = latestNs
	for _, i := range chosen {
		if e := x.domains[i]; e.count > 0 {
			fromNs, toNs = min(fromNs, e.firstNs), max(toNs, e.lastNs)
		}
	}
	return fromNs, toNs
}
