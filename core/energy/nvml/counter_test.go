package nvml

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
)

// A GPU without a ring: ten reads a second, whatever is marked.
func TestCounterWithoutRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		g.ringErr = errAbsent
		s := sourceOf(g)
		c, domains, err := streamed(t, s, 20*time.Second, func() {
			time.Sleep(time.Second)
			if edge := s.Mark(); edge != s.clock.mono() {
				t.Errorf("edge %d", edge)
			}
		})
		if err != nil || len(domains) != 1 {
			t.Fatalf("%v %v", err, domains)
		}
		trace := traceOf(t, c, domains[0])
		if n := len(trace.Samples()); n < 195 || n > 202 {
			t.Errorf("%d reads in 20 s", n)
		}
		from := trace.Samples()[20].MonoNs
		w, err := trace.Window(from, from+10e9)
		if err != nil || w.EnergyJ < 2990 || w.EnergyJ > 3010 || w.RandomRel > 0.01 {
			t.Errorf("%+v, %v", w, err)
		}
	})
}

func TestDriverReloadRaisesTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		g.ringErr = errAbsent
		s := sourceOf(g)
		c, domains, err := streamed(t, s, 10*time.Second, func() {
			time.Sleep(5 * time.Second)
			g.set(func() { g.energyBase = -5 * 300_000 }) // counts from zero again
		})
		if err != nil || codes(s)[EventCounterRestarted] != 1 {
			t.Fatalf("%v %v", err, s.Events(0))
		}
		trace := traceOf(t, c, domains[0])
		samples := trace.Samples()
		if first, last := samples[0].Epoch, samples[len(samples)-1].Epoch; first != 0 || last != 1 {
			t.Errorf("epochs %d to %d", first, last)
		}
		_, err = trace.Window(samples[10].MonoNs, samples[len(samples)-10].MonoNs)
		var why *energy.WindowError
		if !errors.As(err, &why) || why.Code != energy.CodeEpochChange {
			t.Errorf("a window across the reload: %v", err)
		}
	})
}

// A single wrong value is left out and is no restart.
func TestCounterSlips(t *testing.T) {
	for name, slip := range map[string]uint64{"zero": 0, "2^63": 1 << 63, "a jump of 100 kJ": 1e8, "all ones": 1<<64 - 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newFake("GPU-1")
				g.ringErr = errAbsent
				g.bendEnergy = func(call int, milliJ uint64) uint64 {
					if call == 50 {
						return slip
					}
					return milliJ
				}
				s := sourceOf(g)
				c, domains, err := streamed(t, s, 10*time.Second, nil)
				if err != nil || codes(s)[EventCounterRestarted] != 0 || codes(s)[EventSamplesRefused] != 1 {
					t.Fatalf("%v %v", err, s.Events(0))
				}
				trace := traceOf(t, c, domains[0])
				samples := trace.Samples()
				from, to := samples[10].MonoNs, samples[90].MonoNs
				w, err := trace.Window(from, to)
				if want := 300 * float64(to-from) / 1e9; err != nil || w.EnergyJ < want*0.995 || w.EnergyJ > want*1.005 {
					t.Errorf("%v J, want %v; %v", w.EnergyJ, want, err)
				}
			})
		})
	}
}
