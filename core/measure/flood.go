package measure

import (
	"fmt"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
	"github.com/llenergymeasure/llem/sdk/host"
)

// Bounds on the samples of one domain. Whoever sends more than its sensor can
// know fills the core's memory and takes CPU from what is measured. A sample
// takes 24 bytes here until its trial is stored.
const (
	floodFactor    = 100    // times the rate that the domain declares
	leastFloodPerS = 1_000  // borne from any domain, be it as slow as it likes
	mostFloodPerS  = 50_000 // borne from none, whatever it declares
	undeclaredPerS = 20_000 // borne from one that declares no period
	// floodBurstS is how many seconds of the bound may come at once: a source
	// may have waited for a busy machine.
	floodBurstS = 2
)

// floodGauge is a bucket that samples fill and time empties.
type floodGauge struct {
	updateNs int64
	perS     float64
	level    float64
	lastNs   int64
}

func newFloodGauge(updateNs int64) floodGauge {
	g := floodGauge{updateNs: updateNs, perS: undeclaredPerS}
	if updateNs > 0 {
		g.perS = min(max(floodFactor*1e9/float64(updateNs), leastFloodPerS), mostFloodPerS)
	}
	return g
}

// take counts a batch, and refuses the one that makes it a flood. An empty
// batch counts as one sample: it takes as much time to receive.
func (g *floodGauge) take(batch sdk.SampleBatch, nowNs int64) error {
	if g.lastNs > 0 {
		g.level = max(0, g.level-g.perS*float64(nowNs-g.lastNs)/1e9)
	}
	g.lastNs = nowNs
	g.level += float64(max(1, len(batch.MonoNs), len(batch.Values)))
	if g.level <= floodBurstS*g.perS {
		return nil
	}
	declared := "no update period"
	if g.updateNs > 0 {
		declared = "an update period of " + energy.DurationText(g.updateNs)
	}
	return &sdk.Error{
		Code: host.SourceFlood, Phase: "stream",
		Message: fmt.Sprintf("%s: domain %q declares %s and sends more than %.0f samples a second", string(host.SourceFlood), batch.DomainID, declared, g.perS),
		Advice:  "the source must send each sample once, at its declared rate",
	}
}
