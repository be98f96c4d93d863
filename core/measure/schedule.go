package measure

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// schedule says when the requests of an open loop arrive: a pure value. Equal
// schedules give equal arrivals, and those of two arms of a block differ by what
// the arms differ in only: the same draws are stretched to each one's rate.
type schedule struct {
	mode       string // study's load.mode: constant, poisson, gamma
	ratePerS   float64
	burstiness float64 // gamma: shape of the gaps; 1 = poisson, below it bursts
	seed       int64   // of the study
	block      int
	warmUp     bool // other arrivals than the measured ones
}

// shape of the gaps between arrivals, as that of a gamma distribution; +Inf =
// they are all alike.
func (s schedule) shape() float64 {
	switch s.mode {
	case "poisson":
		return 1
	case "gamma":
		return s.burstiness
	}
	return math.Inf(1)
}

// offsets are the first count arrivals after the Run's start, rising. Each lies a
// gap after the one before it, the first one a gap after the start.
func (s schedule) offsets(count int) []int64 {
	offsets := make([]int64, count)
	random := s.random()
	shape := s.shape()
	elapsed := 0.0 // in mean gaps
	for i := range offsets {
		elapsed += unitGap(shape, random)
		if math.IsInf(shape, 1) {
			elapsed = float64(i + 1) // without the rounding errors of a sum
		}
		offsets[i] = int64(math.Round(min(elapsed/s.ratePerS*1e9, math.MaxInt64/2)))
	}
	return offsets
}

// unitGap draws a gap with mean 1 by the inverse of its distribution: one draw
// for one gap, so that schedules of other shapes rise and fall together.
func unitGap(shape float64, random *rand.Rand) float64 {
	if math.IsInf(shape, 1) {
		return 1
	}
	u := random.Float64()
	if shape == 1 {
		return -math.Log1p(-u)
	}
	return mathext.GammaIncRegInv(shape, u) / shape
}

// random is seeded by a hash of what names the schedule, so that those of
// neighbouring blocks and seeds have nothing in common.
func (s schedule) random() *rand.Rand {
	h := sha256.New()
	fmt.Fprintf(h, "arrivals %d %d %t", s.seed, s.block, s.warmUp)
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}

// isOpen tells whether requests arrive by a schedule.
func isOpen(c study.Cell) bool { return contractLoop(c.Load.Mode) == sdk.LoopOpen }

// schedule of this cell's arrivals in its block.
func (t *trial) schedule(warmUp bool) schedule {
	l := t.cell.Load
	return schedule{mode: l.Mode, ratePerS: l.Rate, burstiness: l.Burstiness, seed: t.cell.Workload.Seed, block: t.record.Block, warmUp: warmUp}
}

// arrive gives requests their arrivals.
func (s schedule) arrive(items []sdk.WorkItem) {
	for i, offset := range s.offsets(len(items)) {
		items[i].ArrivalOffsetNs = offset
	}
}
