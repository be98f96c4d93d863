package main

import (
	"math"
	"slices"
	"sort"
)

// wave is the true power of a device over time: constant between its bounds, so
// that its energy between any two moments is known to the last bit.
type wave struct {
	bounds []int64   // ns, rising; one more than there are pieces
	watts  []float64 // of each piece
	sums   []float64 // joules up to each bound
}

func newWave(fromNs int64) *wave {
	return &wave{bounds: []int64{fromNs}, sums: []float64{0}}
}

func (w *wave) end() int64 { return w.bounds[len(w.bounds)-1] }

// add appends a piece.
func (w *wave) add(ns int64, watts float64) {
	w.bounds = append(w.bounds, w.end()+ns)
	w.watts = append(w.watts, watts)
	w.sums = append(w.sums, w.sums[len(w.sums)-1]+watts*float64(ns)/1e9)
}

// energy in joules from the wave's begin to ns; power goes on beyond either end.
func (w *wave) energy(ns int64) float64 {
	i := sort.Search(len(w.watts)-1, func(i int) bool { return w.bounds[i+1] > ns })
	return w.inPiece(i, ns)
}

func (w *wave) inPiece(i int, ns int64) float64 {
	return w.sums[i] + w.watts[i]*float64(ns-w.bounds[i])/1e9
}

// between is the energy of a span in joules.
func (w *wave) between(from, to int64) float64 { return w.energy(to) - w.energy(from) }

// walk is energy for moments that mostly rise: it looks near the last one.
type walk struct {
	w *wave
	i int
}

func (k *walk) energy(ns int64) float64 {
	for k.i+1 < len(k.w.watts) && k.w.bounds[k.i+1] <= ns {
		k.i++
	}
	for k.i > 0 && k.w.bounds[k.i] > ns {
		k.i--
	}
	return k.w.inPiece(k.i, ns)
}

// engine is a simulated inference engine with static batches: each pass is a
// prefill and then decode steps, in which power ripples between the kernels of a
// step and what lies between them.
type engine struct {
	prefillNs int64
	prefillW  float64
	steps     int
	stepNs    int64
	busyShare float64 // of a step
	busyW     float64
	restW     float64
	tokens    int // a pass gives
	// warmingRel is by how much power rises from cold to warm, with warmingNs the
	// time constant: leakage grows with temperature.
	warmingRel float64
	warmingNs  float64
}

// server is the engine of the studies: 0.52 s a pass, steps of 17.3 ms that agree
// with no sensor's period.
var server = engine{
	prefillNs: 88e6, prefillW: 640, steps: 25, stepNs: 17_300_000, busyShare: 0.7, busyW: 420, restW: 290,
	tokens: 16 * 26, warmingRel: 0.01, warmingNs: 20e9,
}

// passNs is the length of a pass.
func (e engine) passNs() int64 { return e.prefillNs + int64(e.steps)*e.stepNs }

// prefillJ and decodeJ are the energies of one pass of a cold engine.
func (e engine) prefillJ() float64 { return e.prefillW * float64(e.prefillNs) / 1e9 }
func (e engine) decodeJ() float64 {
	busy := int64(e.busyShare * float64(e.stepNs))
	return float64(e.steps) * (e.busyW*float64(busy) + e.restW*float64(e.stepNs-busy)) / 1e9
}

// run appends passes. factor, by pass, scales power as a fresh start or the moment
// may; nil means 1 throughout.
func (e engine) run(w *wave, passes int, factor func(pass int) float64) {
	busy := int64(e.busyShare * float64(e.stepNs))
	pieces := passes * (1 + 2*e.steps)
	w.bounds, w.watts, w.sums = slices.Grow(w.bounds, pieces), slices.Grow(w.watts, pieces), slices.Grow(w.sums, pieces)
	for p := range passes {
		f := 1.0
		if e.warmingRel > 0 {
			f += e.warmingRel * (1 - math.Exp(-float64(w.end()-w.bounds[0])/e.warmingNs))
		}
		if factor != nil {
			f *= factor(p)
		}
		w.add(e.prefillNs, f*e.prefillW)
		for range e.steps {
			w.add(busy, f*e.busyW)
			w.add(e.stepNs-busy, f*e.restW)
		}
	}
}
