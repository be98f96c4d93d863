package sdk

import (
	"context"
	"math/rand/v2"
	"time"
)

// gaps draws and waits the idle times between the passes of a Run. A sensor
// that looks at part of all time only misreads a load in step with it; idle
// times of random length take the load out of step.
type gaps struct {
	mostNs int64
	random *rand.Rand
}

// gapStream tells the generator of gaps from others with the same seed.
const gapStream = 0x67617073

func newGaps(spec RunSpec) gaps {
	return gaps{mostNs: spec.GapNsMost, random: rand.New(rand.NewPCG(uint64(spec.GapSeed), gapStream))}
}

// next is the length of the next gap in ns, uniform from 0 to the most.
func (g gaps) next() int64 {
	if g.mostNs <= 0 {
		return 0
	}
	return g.random.Int64N(g.mostNs + 1)
}

// wait returns at untilNs, or as soon as ctx or the Run is to end.
func (g gaps) wait(ctx context.Context, stopping <-chan struct{}, untilNs int64) {
	left := untilNs - MonoNow()
	if g.mostNs <= 0 || left <= 0 {
		return
	}
	timer := time.NewTimer(time.Duration(left))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stopping:
	case <-ctx.Done():
	}
}
