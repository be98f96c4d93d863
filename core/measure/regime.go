package measure

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// In the hot regime a trial is measured under load at steady temperature. In the
// cooldown regime it idles with the model loaded before its measured Run, and is
// measured from the first pass on: conditioning would heat it again.

// cold tells whether the cell is measured in the cooldown regime.
func (t *trial) cold() bool { return t.cell.Protocol.Regime == study.RegimeCooldown }

// cooledRiseC is how much warmer than before its Load a device may be for it to
// count as cooled; cooldownLook is how often that is looked at.
const (
	cooledRiseC  = 1.0
	cooldownLook = time.Second
)

// coolDown waits, in the cooldown regime, until no GPU of the cell is warmer than
// before the load, at most protocol.cooldown_s; where temperatures are not known,
// for all of it. It fails only if ctx ends.
func (t *trial) coolDown(ctx context.Context) error {
	if !t.cold() {
		return nil
	}
	t.progress(PhaseCooldown, 0, "")
	c := &result.Cooldown{FromNs: sdk.MonoNow()}
	t.record.Cooldown = c
	mostNs := c.FromNs + int64(t.cell.Protocol.CooldownS*1e9)
	for {
		now := look(ctx, &t.watch, func(m Monitor) map[string]device.Reading { return m.Read(t.gpus) })
		c.StartC, c.EndC, c.TemperatureUnknown = cooled(t.gpus, t.watch.before, now)
		c.Cooled = c.EndC != nil && *c.EndC-*c.StartC <= cooledRiseC && len(c.TemperatureUnknown) == 0
		c.ToNs = sdk.MonoNow()
		left := time.Duration(mostNs - c.ToNs)
		if c.Cooled || left <= 0 {
			break
		}
		if !sleep(ctx, min(left, cooldownLook)) {
			return ctx.Err()
		}
	}
	idled := fmt.Sprintf("idled for %.1f s", float64(c.ToNs-c.FromNs)/1e9)
	if c.EndC == nil {
		c.Reason = idled + ", all of protocol.cooldown_s: temperature not known"
		return nil
	}
	if !c.Cooled {
		idled += ", all of protocol.cooldown_s"
	}
	c.Reason = fmt.Sprintf("%s: %.0f °C, and %.0f °C before the load (wanted at most %.0f °C more)", idled, *c.EndC, *c.StartC, cooledRiseC)
	if silent := c.TemperatureUnknown; len(silent) > 0 {
		c.Reason += "; temperature of " + strings.Join(silent, ", ") + " not known"
	}
	return nil
}

// cooled compares the temperature of each GPU with that before the load. startC
// and endC are those of the one that is most above its own; nil if none tells.
// silent are those that do not.
func cooled(gpus []string, before map[string]device.Snapshot, now map[string]device.Reading) (startC, endC *float64, silent []string) {
	for _, id := range gpus {
		begin, end := before[id].Reading.TemperatureC, now[id].TemperatureC
		if begin == nil || end == nil {
			silent = append(silent, id)
			continue
		}
		b, e := float64(*begin), float64(*end)
		if startC == nil || e-b > *endC-*startC {
			startC, endC = &b, &e
		}
	}
	return startC, endC, silent
}

// seen are the readings of the named GPUs in the Run so far; one that is not read
// has none.
func (w *watch) seen(gpus []string) map[string][]device.Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string][]device.Reading{}
	for _, id := range gpus {
		all[id] = w.readings[id] // only ever appended to
	}
	return all
}

// Cold idle is looked at for coldIdleNs before the load, or for as long as nothing
// was loaded, if that is leastColdNs.
const (
	coldIdleNs  = int64(3e9)
	leastColdNs = int64(1e9)
)

// coldIdle records the power before the load, after the fact: the sources record
// all the time. Where the trial before had ended just then, it is not known.
func (t *trial) coldIdle(traces map[string]*energy.Trace) {
	to := t.record.Load.BeginNs
	from := max(to-coldIdleNs, t.unloadedNs)
	for _, trace := range traces {
		if samples := trace.Samples(); len(samples) > 0 {
			from = max(from, samples[0].MonoNs) // recording began here
		}
	}
	if to-from < leastColdNs {
		return
	}
	for id, trace := range traces {
		window, err := trace.Window(from, to)
		if err != nil {
			continue // absent = not known; it is metadata
		}
		if t.record.ColdIdlePowerW == nil {
			t.record.ColdIdle, t.record.ColdIdlePowerW = &result.Idle{FromNs: from, ToNs: to}, map[string]float64{}
		}
		t.record.ColdIdlePowerW[id] = window.MeanPowerW
	}
}
