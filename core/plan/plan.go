// Package plan lays out what a study will do before it does it: which cells
// run, in which order within each block, and about how long that takes.
//
// A plan is written to the result directory before its blocks start, so that
// "what is missing" stays decidable. One block is one replicate of the whole
// grid; each block is a newly seeded permutation of its cells, because a fixed
// order turns a drift of 1 % into false differences.
package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/llenergymeasure/llem/core/study"
)

// Orders of the trials.
const (
	// Randomised: every block is its own permutation; the load is the sample.
	Randomised = "randomised"
	// Grouped: one block, and each cell's cycles are windows of one load. Fast,
	// for a first look; its results are flagged and never ranked.
	Grouped = "grouped"
)

// Plan is one round of blocks.
type Plan struct {
	SchemaVersion int    `json:"schema_version"`
	Round         int    `json:"round"`
	Study         string `json:"study"`
	Order         string `json:"order"`
	// Cells in the study's order: others are compared with the first.
	Cells []Cell `json:"cells"`
	// Baseline is the ID of the cell that the study declares for that, or "".
	Baseline string  `json:"baseline,omitempty"`
	Blocks   []Block `json:"blocks"`
	// WindowsPerLoad of every trial.
	WindowsPerLoad int `json:"windows_per_load"`
	// LeastNs is the time that windows, conditioning and idling take; loading
	// and warming up come on top and are not known before the first load.
	LeastNs int64 `json:"least_ns"`
	// MostCooldownNs is the most time that cooling down takes besides, in that regime.
	MostCooldownNs int64 `json:"most_cooldown_ns,omitempty"`
}

// Cell names a cell of the plan.
type Cell struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	// Probe: it is measured for other cells and never ranked.
	Probe bool `json:"probe,omitempty"`
}

// Block is one replicate: cell ids in the order in which they run.
type Block struct {
	Index int      `json:"index"`
	Order []string `json:"order"`
}

// Build lays out the blocks of a study. The permutations depend on the
// study's seed and the set of cells only, so the same study gives the same
// plan.
func Build(s *study.Study, cells []study.Cell) Plan {
	p := Plan{SchemaVersion: 1, Round: 1, Study: s.Name, Order: s.Protocol.Order, WindowsPerLoad: WindowsPerLoad(s)}
	blocks := max(1, s.Protocol.Cycles)
	if p.Order == Grouped {
		blocks = 1
	}
	ids := make([]string, len(cells))
	for i, c := range cells {
		ids[i] = c.ID
		p.Cells = append(p.Cells, Cell{ID: c.ID, Label: c.Label, Probe: c.Probe})
		p.LeastNs += int64(blocks) * trialNs(c.Protocol, p.WindowsPerLoad)
		if c.Protocol.Regime == study.RegimeCooldown {
			p.MostCooldownNs += int64(blocks) * nanoseconds(c.Protocol.CooldownS)
		}
	}
	for b := range blocks {
		p.Blocks = append(p.Blocks, Block{Index: b, Order: permute(ids, s.Workload.Seed, b)})
	}
	return p
}

// WindowsPerLoad is how many windows every trial of a study has.
func WindowsPerLoad(s *study.Study) int {
	windows := max(1, s.Protocol.Windows)
	if s.Protocol.Order == Grouped {
		windows *= max(1, s.Protocol.Cycles)
	}
	return windows
}

func trialNs(p study.Protocol, windows int) int64 {
	return nanoseconds(p.IdleS + p.ConditioningS + float64(windows)*p.WindowS)
}

func nanoseconds(s float64) int64 { return int64(s * float64(time.Second)) }

// permute shuffles ids for one block. The generator is seeded by a hash of
// everything that names the block, so that neighbouring blocks are unrelated.
func permute(ids []string, seed int64, block int) []string {
	sorted := slices.Sorted(slices.Values(ids))
	h := sha256.New()
	for _, id := range sorted {
		h.Write([]byte(id))
	}
	var buffer [16]byte
	binary.LittleEndian.PutUint64(buffer[:8], uint64(seed))
	binary.LittleEndian.PutUint64(buffer[8:], uint64(block))
	h.Write(buffer[:])
	sum := h.Sum(nil)
	random := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
	random.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
	return sorted
}
