// Package power holds the power that the simulated device draws by itself: a
// pure function of CLOCK_MONOTONIC with a closed form of its energy.
package power

import "math"

// Shape of a wave.
type Shape string

// The shapes.
const (
	Constant Shape = "constant"
	Square   Shape = "square" // high in the first half of each period
	Sine     Shape = "sine"
)

// Wave is power over time. Periods are counted from stamp 0, so that every
// process of a host sees the same wave.
type Wave struct {
	Shape      Shape
	BaseW      float64
	AmplitudeW float64 // Square: added while high; Sine: the amplitude
	PeriodNs   int64   // positive, unless the shape is Constant
}

// At returns the power at a stamp, in W.
func (w Wave) At(ns int64) float64 {
	switch w.Shape {
	case Square:
		if phase(ns, w.PeriodNs) < w.PeriodNs/2 {
			return w.BaseW + w.AmplitudeW
		}
	case Sine:
		return w.BaseW + w.AmplitudeW*math.Sin(w.angle(ns))
	}
	return w.BaseW
}

// EnergyJ returns the energy between two stamps, in J.
func (w Wave) EnergyJ(fromNs, toNs int64) float64 {
	base := w.BaseW * float64(toNs-fromNs)
	switch w.Shape {
	case Square:
		base += w.AmplitudeW * float64(w.highNs(toNs)-w.highNs(fromNs))
	case Sine:
		base += w.AmplitudeW * float64(w.PeriodNs) / (2 * math.Pi) * (math.Cos(w.angle(fromNs)) - math.Cos(w.angle(toNs)))
	}
	return base * 1e-9
}

// highNs is the time that a square wave has been high since stamp 0. It is
// whole nanoseconds: float64 has not the digits for a stamp.
func (w Wave) highNs(ns int64) int64 {
	in := phase(ns, w.PeriodNs)
	return (ns-in)/w.PeriodNs*(w.PeriodNs/2) + min(in, w.PeriodNs/2)
}

func (w Wave) angle(ns int64) float64 {
	return 2 * math.Pi * float64(phase(ns, w.PeriodNs)) / float64(w.PeriodNs)
}

// phase is where in its period a stamp lies, also before stamp 0.
func phase(ns, period int64) int64 { return ((ns % period) + period) % period }
