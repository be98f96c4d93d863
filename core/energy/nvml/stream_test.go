package nvml

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// traceOf runs what a stream gave through the arithmetic.
func traceOf(t *testing.T, c *collected, d sdk.Domain) *energy.Trace {
	t.Helper()
	b, err := energy.NewBuilder(energy.Domain{
		ID: d.ID, Kind: string(d.Kind), Reading: energy.Reading(d.Reading), UnitNum: d.UnitNumerator, UnitDen: d.UnitDenominator,
		UpdateNs: d.UpdatePeriodNs, AveragingNs: d.AveragingNs, DeviceIDs: d.DeviceIDs,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range c.batches[d.ID] {
		b.Append(energy.Batch{Sequence: x.Sequence, Epoch: x.Epoch, Dropped: x.Dropped, CompleteUntilNs: x.CompleteUntilNs, StampsNs: x.MonoNs, Values: x.Values})
	}
	return b.Snapshot()
}

// A minute of an H100 at 300 W: ring and counter agree, nothing is lost, and the
// counter is read only around marks and every 10 s.
func TestRingAndCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		s := sourceOf(g)
		var from, to int64
		c, domains, err := streamed(t, s, 60*time.Second, func() {
			time.Sleep(7 * time.Second)
			from = s.Mark()
			time.Sleep(40 * time.Second)
			to = s.Mark()
		})
		if err != nil || len(s.Events(0)) != 0 {
			t.Fatalf("%v, %v", err, s.Events(0))
		}
		ring, counter := traceOf(t, c, domains[0]), traceOf(t, c, domains[1])
		for _, trace := range []*energy.Trace{ring, counter} {
			if len(trace.Warnings()) != 0 {
				t.Errorf("%v", trace.Warnings())
			}
		}
		a, err := ring.Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		b, err := counter.Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if ratio := a.EnergyJ / b.EnergyJ; ratio < 0.999 || ratio > 1.001 || a.CoverageRatio != 1 {
			t.Errorf("ring %v, counter %v", a, b)
		}
		if b.Method != energy.MethodCounterInterpolated || b.RandomRel > 5e-4 || len(b.Warnings) != 0 {
			t.Errorf("the marks did not resolve the edges: %+v", b)
		}
		// Opening reads once, the first step once, then every 10 s and two bursts.
		if n := g.counterCalls; n > 2+6+2*14 {
			t.Errorf("%d counter calls in a minute", n)
		}
		if n := g.ringCalls; n < 60 || n > 62 {
			t.Errorf("%d drains in a minute", n)
		}
	})
}

// Whenever a mark falls between two ticks of the counter, its edge is resolved.
func TestMarkAtAnyPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(newFake("GPU-1"))
		var edges []int64
		c, domains, err := streamed(t, s, 6*time.Minute, func() {
			for range 30 {
				edges = append(edges, s.Mark())
				time.Sleep(10*time.Second + 7*time.Millisecond)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		trace := traceOf(t, c, domains[1])
		for i := 1; i < len(edges); i++ {
			w, err := trace.Window(edges[i-1], edges[i])
			if err != nil {
				t.Fatal(err)
			}
			if want := 300 * w.DurationS(); len(w.Warnings) != 0 || w.RandomRel > 0.003 || w.EnergyJ < want*0.997 || w.EnergyJ > want*1.003 {
				t.Errorf("mark %d: %+v, want %v J", i, w, want)
			}
		}
	})
}

// An edge far from any mark is told as unresolved, not guessed in silence.
func TestEdgeBetweenSparseReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(newFake("GPU-1"))
		var from, to int64
		c, domains, _ := streamed(t, s, 70*time.Second, func() {
			time.Sleep(14 * time.Second)
			from = s.clock.mono()
			time.Sleep(33 * time.Second)
			to = s.clock.mono()
		})
		w, err := traceOf(t, c, domains[1]).Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Warnings) == 0 || w.RandomRel < 0.01 {
			t.Errorf("%+v", w)
		}
	})
}

func TestLostGPUEndsAloneAndLastEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFake("GPU-a"), newFake("GPU-b")
		s := sourceOf(a, b)
		var lostAt int64
		c, domains, err := streamed(t, s, 20*time.Second, func() {
			time.Sleep(5500 * time.Millisecond)
			a.set(func() { a.lost = true })
			lostAt = s.clock.mono()
			time.Sleep(8 * time.Second)
			b.set(func() { b.lost = true })
		})
		if codes(s)[EventGPULost] != 2 || s.Events(0)[0].UUID != "GPU-a" {
			t.Errorf("%v", s.Events(0))
		}
		if !errors.Is(err, sdk.DeviceMissing) {
			t.Errorf("a stream without any GPU ended with %v", err)
		}
		if stamps, _, _ := c.of("GPU-a"); stamps[len(stamps)-1] > lostAt {
			t.Error("a lost GPU delivered")
		}
		at := lostAt - 2e9
		if _, err := traceOf(t, c, domains[0]).Window(at, at+6e9); !errors.Is(err, energy.ErrIncomplete) {
			t.Errorf("window across the loss: %v", err)
		}
		if _, err := traceOf(t, c, domains[1]).Window(at, at+6e9); !errors.Is(err, energy.ErrIncomplete) {
			t.Errorf("counter window across the loss: %v", err)
		}
		if w, err := traceOf(t, c, domains[2]).Window(at, at+6e9); err != nil || w.CoverageRatio != 1 {
			t.Errorf("the other GPU: %v, %v", w, err)
		}
	})
}

func TestFailingSensorIsTriedAgainThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		s := sourceOf(g)
		c, _, err := streamed(t, s, 20*time.Second, func() {
			time.Sleep(5 * time.Second)
			g.set(func() { g.ringErr = errPermission })
		})
		n := codes(s)
		if err != nil || n[EventReadFailed] != mostFailures-1 || n[EventSensorEnded] != 1 {
			t.Errorf("%v, %v", err, s.Events(0))
		}
		if stamps, _, _ := c.of("GPU-1/counter"); len(stamps) < 2 {
			t.Error("the counter ended with the ring")
		}
	})
}

func TestEmitErrorEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(newFake("GPU-1"))
		if _, err := s.Open(t.Context(), sdk.OpenRequest{}); err != nil {
			t.Fatal(err)
		}
		full := errors.New("full")
		if err := s.Stream(t.Context(), func(sdk.SampleBatch) error { return full }); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if len(s.Read(nil)) != 0 || len(s.Facts()) != 0 || s.Mark() == 0 {
			t.Error("calls after Close")
		}
	})
}
