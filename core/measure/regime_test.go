package measure

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/report"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
)

// A cold trial idles until the GPU is as cool as before its load, and is measured
// from the first pass on.
func TestCooldown(t *testing.T) {
	r, g := gpuRig(t, 1)
	r.each(func(c *study.Cell) {
		c.Protocol.Regime, c.Protocol.ConditioningS, c.Protocol.CooldownS = study.RegimeCooldown, 0, 600
	})
	var cooling, looks atomic.Int64
	r.onPhase = func(p Progress) {
		if p.Phase == PhaseCooldown {
			cooling.Store(1)
		} else if cooling.Load() == 1 {
			cooling.Store(2)
		}
	}
	g.celsius = func() int64 {
		if cooling.Load() == 1 && looks.Add(1) == 1 {
			return 53
		}
		return 50 + cooling.Load()/2
	}
	got := r.one()
	c := got.Cooldown
	if c == nil || !c.Cooled || *c.StartC != 50 || *c.EndC != 50 || looks.Load() != 2 || c.ToNs-c.FromNs < int64(cooldownLook) || !strings.Contains(c.Reason, "50 °C, and 50 °C before the load") {
		t.Errorf("%d looks, cooled down: %+v", looks.Load(), c)
	}
	if got.Regime != result.RegimeCooldown || got.Conditioning != nil || got.Run.BeginNs < c.ToNs || got.Windows[0].FromNs != got.Run.Passes[0].BeginNs {
		t.Errorf("regime %q, conditioned %+v, window from %d, Run from %d", got.Regime, got.Conditioning, got.Windows[0].FromNs, got.Run.BeginNs)
	}
	if strings.Contains(codes(got), "not_warm") {
		t.Errorf("it has %s", codes(got))
	}
	hot := got
	hot.Regime = ""
	s := report.Summarize([]result.Trial{got, hot}, nil, report.Options{})
	if len(s.Cells) != 2 || len(s.Groups) != 2 {
		t.Errorf("a hot and a cold trial make %d cells in %d groups", len(s.Cells), len(s.Groups))
	}
}

// What is not known to be cool is waited for as long as the study says, and an
// interrupt ends the wait.
func TestCooldownWithoutTemperature(t *testing.T) {
	cold := func(t *testing.T, s float64) *rig {
		return newRig(t, "").each(func(c *study.Cell) {
			c.Protocol.Regime, c.Protocol.ConditioningS, c.Protocol.CooldownS = study.RegimeCooldown, 0, s
		})
	}
	t.Run("waits", func(t *testing.T) {
		got := cold(t, 0.3).one()
		if c := got.Gates; c.Unknown["not_cooled"] == "" || !slices.Contains(c.NotApplicable, "not_warm") {
			t.Errorf("%+v", c)
		}
		c := got.Cooldown
		if c == nil || c.Cooled || c.StartC != nil || c.ToNs-c.FromNs < 300e6 || !strings.Contains(c.Reason, "temperature not known") {
			t.Errorf("cooled down: %+v", c)
		}
	})
	t.Run("stays warm", func(t *testing.T) {
		r, g := gpuRig(t, 1)
		r.each(func(c *study.Cell) {
			c.Protocol.Regime, c.Protocol.ConditioningS, c.Protocol.CooldownS = study.RegimeCooldown, 0, 0.1
		})
		var looks atomic.Int64
		g.celsius = func() int64 { return 50 + min(20, looks.Add(1)-1) }
		got := r.one()
		if c := got.Cooldown; c == nil || c.Cooled {
			t.Errorf("cooled down: %+v", c)
		}
		wantCode(t, got, "not_cooled/warning")
	})
	for rise, cooled := range map[int64]bool{1: true, 2: false} {
		t.Run(fmt.Sprint(rise, " °C warmer"), func(t *testing.T) {
			r, g := gpuRig(t, 1)
			r.each(func(c *study.Cell) {
				c.Protocol.Regime, c.Protocol.ConditioningS, c.Protocol.CooldownS = study.RegimeCooldown, 0, 0.1
			})
			var loaded atomic.Int64
			r.onPhase = func(p Progress) {
				if p.Phase == PhaseCooldown {
					loaded.Store(rise)
				}
			}
			g.celsius = func() int64 { return 50 + loaded.Load() }
			if c := r.one().Cooldown; c == nil || c.Cooled != cooled || *c.EndC-*c.StartC != float64(rise) {
				t.Errorf("cooled down: %+v", c)
			}
		})
	}
	t.Run("interrupt", func(t *testing.T) {
		r := cold(t, 600)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.onPhase = func(p Progress) {
			if p.Phase == PhaseCooldown {
				cancel()
			}
		}
		_, _, failed, err := r.run(ctx)
		if err == nil || len(failed) != 1 || failed[0].Failure.Phase != "cooldown" || failed[0].Failure.Code != result.CodeInterrupted {
			t.Errorf("%v, failed %+v", err, failed)
		}
	})
	t.Run("fails before it", func(t *testing.T) {
		_, _, failed, err := cold(t, 600).each(func(c *study.Cell) { c.Parameters["fault"] = "fail always" }).run(t.Context())
		if err != nil || len(failed) != 1 || failed[0].Regime != result.RegimeCooldown {
			t.Errorf("%v, failed %+v", err, failed)
		}
	})
}

func TestCooled(t *testing.T) {
	before, now := map[string]device.Snapshot{}, map[string]device.Reading{}
	for id, c := range map[string][2]int64{"a": {40, 41}, "b": {30, 33}, "c": {50, 45}} {
		before[id], now[id] = device.Snapshot{Reading: device.Reading{TemperatureC: &c[0]}}, device.Reading{TemperatureC: &c[1]}
	}
	for _, c := range []struct {
		gpus         []string
		startC, endC float64 // 0 = unknown
		silent       string
	}{
		{[]string{"a"}, 40, 41, ""}, {[]string{"a", "b"}, 30, 33, ""}, {[]string{"c", "a"}, 40, 41, ""},
		{[]string{"a", "elsewhere"}, 40, 41, "elsewhere"}, {[]string{"elsewhere"}, 0, 0, "elsewhere"}, {nil, 0, 0, ""},
	} {
		startC, endC, silent := cooled(c.gpus, before, now)
		if strings.Join(silent, ",") != c.silent || (startC == nil) != (c.startC == 0) || startC != nil && (*startC != c.startC || *endC != c.endC) {
			t.Errorf("%v: %v %v %v", c.gpus, startC, endC, silent)
		}
	}
}

// The GPU's temperature is part of what conditioning is judged by.
func TestConditioningLooksAtTemperature(t *testing.T) {
	r, g := gpuRig(t, 1)
	var warm atomic.Int64
	g.celsius = func() int64 { return 40 + warm.Add(1) } // by a degree at each look
	got := r.one()
	c := got.Conditioning
	if c.Settled || c.TemperatureRiseC == nil || *c.TemperatureRiseC < 2 || !strings.Contains(c.Reason, "°C (wanted at most 1 °C)") {
		t.Errorf("conditioned: %+v", c)
	}
	wantCode(t, got, "not_warm/warning")
}

// Cold idle is what the recording holds from before the load, where that is at
// least a second in which nothing was loaded.
func TestColdIdle(t *testing.T) {
	trace := powerTrace(t, func(float64) float64 { return 40 })
	for name, c := range map[string]struct {
		unloadedNs, beginNs, lengthNs int64
	}{
		"the last 3 s":        {0, 20e9, 3e9},
		"after another trial": {18e9, 20e9, 2e9},
		"just after another":  {19.5e9, 20e9, 0},
		"recording has begun": {0, 2.1e9, 2e9},
		"just begun":          {0, 0.5e9, 0},
	} {
		trial := &trial{session: &session{unloadedNs: c.unloadedNs}, record: &result.Trial{Load: &result.Load{BeginNs: c.beginNs}}}
		trial.coldIdle(map[string]*energy.Trace{"d": trace})
		idle, w := trial.record.ColdIdle, trial.record.ColdIdlePowerW["d"]
		if (idle != nil) != (c.lengthNs > 0) || idle != nil && (idle.ToNs != c.beginNs || idle.ToNs-idle.FromNs != c.lengthNs || w < 39.99 || w > 40.01) {
			t.Errorf("%s: %+v with %g W", name, idle, w)
		}
	}
}
