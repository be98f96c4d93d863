package sensor

import (
	"github.com/llenergymeasure/llem/plugins/sim/internal/bus"
	"github.com/llenergymeasure/llem/plugins/sim/internal/power"
	"github.com/llenergymeasure/llem/sdk"
)

// truth is what the simulated device really draws.
type truth struct {
	wave power.Wave
	load *bus.Reader // nil: none
}

func newTruth(t sdk.Table) (truth, error) {
	world := truth{wave: power.Wave{
		Shape: power.Shape(t.String("wave", "")), BaseW: t.Float("power_w", 0),
		AmplitudeW: t.Float("wave_w", 0), PeriodNs: int64(t.Float("wave_period_ms", 0) * 1e6),
	}}
	if path := t.String("bus", ""); path != "" {
		var err error
		if world.load, err = bus.NewReader(path); err != nil {
			return truth{}, err
		}
	}
	return world, nil
}

// settledNs is the stamp until which everything is known.
func (w truth) settledNs() (int64, error) {
	if w.load == nil {
		return sdk.MonoNow(), nil
	}
	return w.load.Advance()
}

// behindNs is how far settledNs lies in the past.
func (w truth) behindNs() int64 {
	if w.load == nil {
		return 0
	}
	return bus.MostLateNs
}

func (w truth) at(ns int64) float64 {
	watts := w.wave.At(ns)
	if w.load != nil {
		watts += w.load.At(ns)
	}
	return watts
}

func (w truth) energyJ(fromNs, toNs int64) float64 {
	joules := w.wave.EnergyJ(fromNs, toNs)
	if w.load != nil {
		joules += w.load.EnergyJ(fromNs, toNs)
	}
	return joules
}

func (w truth) forget(ns int64) {
	if w.load != nil {
		w.load.Forget(ns)
	}
}

func (w truth) close() error {
	if w.load == nil {
		return nil
	}
	return w.load.Close()
}
