package main

import (
	"fmt"
	"math"
)

// model turns the busy share of all CPUs into watts:
//
//	P = full * (idle + (1 - idle) * busy)
//
// full is what the CPUs seen here draw when all are busy; idle is the share of
// it that they draw when none is.
type model struct {
	FullW     float64
	IdleShare float64
	GainRel   float64
	OffsetW   float64
	Doc       string // where the numbers come from, for the result
}

// defaultCPUW is the power at full load of one CPU (a hardware thread) of an
// unknown model: the middle of the table, whose parts lie between 1.3 and 7.8 W.
const defaultCPUW = 3.5

// defaultIdleShare is the ratio of least to greatest power of servers in
// SPECpower, over which Cloud Carbon Footprint averages 0.74 W and 3.5 W a CPU:
// https://www.cloudcarbonfootprint.org/docs/methodology/#appendix-i-energy-coefficients
const defaultIdleShare = 0.2

// Bounds of the estimate. They are judgement, not calibration, so that no
// confidence is stated with them.
//
// With a known TDP: sustained power at full load is 0.7 (memory-bound, low
// clocks) to 1.4 times TDP (the socket limit of AMD's desktop parts is 1.35 *
// TDP, Intel's second power limit lies above), and the line between idle and
// full is too low by as much at few busy cores, which then clock higher.
//
// A virtual machine knows neither whether its CPU is a thread or a core (a
// factor of up to 2) nor what its neighbours do with the shared parts.
//
// Of an unknown model the watts a CPU may be less than half or more than twice
// the default.
const (
	gainKnown   = 0.5
	gainVirtual = 0.75
	gainUnknown = 1.0
	// idleBound is the half-width of the idle share: 0.05 to 0.35 of full.
	idleBound = 0.15
)

// newModel chooses the numbers for a machine with the given CPUs in
// /proc/stat. tdpW overrides the power at full load where it is not 0.
func newModel(m machine, cpus int, tdpW, idleShare float64, table map[string]part) model {
	out := model{IdleShare: idleShare}
	known, ok := table[plainModel(m.Model)]
	switch {
	case tdpW > 0:
		out.FullW, out.GainRel = tdpW, gainKnown
		out.Doc = fmt.Sprintf("full load is %.4g W as the parameter tdp_w says", tdpW)
	case ok && m.Virtual:
		share := float64(cpus) / float64(known.Threads)
		out.FullW, out.GainRel = known.TDPW*share, gainVirtual
		out.Doc = fmt.Sprintf("full load is %.4g W: the TDP of %s, %.4g W, times %d CPUs of this virtual machine / %d threads", out.FullW, plainModel(m.Model), known.TDPW, cpus, known.Threads)
	case ok:
		out.GainRel = gainKnown
		threads := m.Sockets * m.Siblings
		if threads == 0 {
			threads = m.Sockets * known.Threads
		}
		share := min(1, float64(cpus)/float64(threads))
		out.FullW = known.TDPW * float64(m.Sockets) * share
		out.Doc = fmt.Sprintf("full load is %.4g W: the TDP of %s, %.4g W, times %d packages", out.FullW, plainModel(m.Model), known.TDPW, m.Sockets)
		if share < 1 {
			out.Doc += fmt.Sprintf(", times %d CPUs seen here / %d threads", cpus, threads)
		}
	default:
		name := m.Model
		if name == "" {
			name = "not named by the kernel"
		}
		out.FullW, out.GainRel = defaultCPUW*float64(cpus), gainUnknown
		out.Doc = fmt.Sprintf("full load is %.4g W: the processor (%s) is not in the table, so %d CPUs at %.4g W each (set tdp_w if you know better)", out.FullW, name, cpus, defaultCPUW)
	}
	out.OffsetW = idleBound * out.FullW
	out.Doc = fmt.Sprintf("Modelled from the busy share of all CPUs that this system sees, whoever uses them; %s; idle is %.3g of it.", out.Doc, idleShare)
	return out
}

// milliwatts at a busy share of 0 to 1.
func (m model) milliwatts(busy float64) int64 {
	return int64(math.Round(1000 * m.FullW * (m.IdleShare + (1-m.IdleShare)*busy)))
}
