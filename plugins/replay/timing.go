package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// timing maps the recorded span to this machine's clock.
type timing struct {
	now          int64
	fromNs, toNs int64 // first and last sample
	loop         bool
}

// offset is what is added to every recorded stamp.
func (t timing) offset(all []recording, chosen []int, start string) (int64, error) {
	if start == startNow {
		return t.now - t.fromNs, nil
	}
	end := t.toNs
	for _, i := range chosen {
		end = max(end, all[i].CompleteUntilNs)
	}
	if end > latestNs {
		return 0, fmt.Errorf("its watermark %d is no stamp", end)
	}
	offset := t.now - end
	if t.fromNs+offset < 0 {
		return 0, fmt.Errorf("it lasts %v, longer than this machine is up (%v), so it cannot end now", time.Duration(end-t.fromNs), time.Duration(t.now))
	}
	return offset, nil
}

// shortestLap keeps a short recording from flooding its reader.
const shortestLap = int64(100e6)

// lap is the time from one begin to the next; 0 = it is played once. Behind the
// last sample one mean period is left.
func (t timing) lap(x index, chosen []int) (int64, error) {
	if !t.loop {
		return 0, nil
	}
	period := int64(1)
	for _, i := range chosen {
		if x.domains[i].mostEpoch == math.MaxUint32 {
			return 0, errors.New("it has a sample of the last epoch that there can be, and a new lap needs a new one")
		}
		if e := x.domains[i]; e.count > 1 {
			period = max(period, (e.lastNs-e.firstNs)/(e.count-1))
		}
	}
	lap := t.toNs - t.fromNs + period
	if lap < shortestLap {
		return 0, errors.New("it is shorter than 100 ms, too short to be played in a loop")
	}
	return lap, nil
}
