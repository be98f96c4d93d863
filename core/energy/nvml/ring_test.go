package nvml

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llenergymeasure/llem/sdk"
)

// bent streams a GPU whose ring answers are bent, for ten seconds.
func bent(t *testing.T, bend func(drain int, list []ringSample) []ringSample) (c *collected, s *Source) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		drain := 0
		g.bend = func(list []ringSample) []ringSample { drain++; return bend(drain, list) }
		s = sourceOf(g)
		var err error
		if c, _, err = streamed(t, s, 10*time.Second, nil); err != nil {
			t.Error(err)
		}
	})
	return c, s
}

// rising tells whether stamps rise by one period each, within 10 µs.
func rising(stamps []int64, periodNs int64) bool {
	for i := 1; i < len(stamps); i++ {
		if d := stamps[i] - stamps[i-1] - periodNs; d < -10_000 || d > 10_000 {
			return false
		}
	}
	return len(stamps) > 0
}

func TestRingThatMisbehaves(t *testing.T) {
	for _, x := range []struct {
		name    string
		bend    func(drain int, list []ringSample) []ringSample
		dropped uint64
		whole   bool // no sample is missing
		events  map[string]bool
	}{
		{name: "well", bend: func(_ int, l []ringSample) []ringSample { return l }, whole: true},
		{name: "unused entries at the end", whole: true, events: map[string]bool{EventSamplesRefused: true},
			bend: func(_ int, l []ringSample) []ringSample { return append(l, ringSample{}, ringSample{}) }},
		{name: "twice", whole: true, events: map[string]bool{EventSamplesRefused: true},
			bend: func(_ int, l []ringSample) []ringSample { return append(l, l...) }},
		{name: "backwards", whole: true, events: map[string]bool{EventSamplesRefused: true},
			bend: func(_ int, l []ringSample) []ringSample { slices.Reverse(l); return l }},
		{name: "old ones again", whole: true, events: map[string]bool{EventSamplesRefused: true},
			bend: func(d int, l []ringSample) []ringSample {
				if d > 3 {
					l = append([]ringSample{{WallUs: l[0].WallUs - 20_000, MilliW: 1}}, l...)
				}
				return l
			}},
		{name: "the newest again, refitted", whole: true,
			bend: func(d int, l []ringSample) []ringSample {
				if d > 3 {
					l = append([]ringSample{{WallUs: l[0].WallUs - 20_000 + 37, MilliW: l[0].MilliW}}, l...)
				}
				return l
			}},
		{name: "a power of zero, 2^63, NaN and ten kilowatts", dropped: 4, events: map[string]bool{EventSamplesRefused: true},
			bend: func(d int, l []ringSample) []ringSample {
				if d == 4 {
					l[10].MilliW, l[20].MilliW, l[30].MilliW, l[40].MilliW = 0, 1<<63, noMilliW, 10_000_000
				}
				return l
			}},
		{name: "stamps of another century", whole: true, events: map[string]bool{EventSamplesRefused: true},
			bend: func(d int, l []ringSample) []ringSample {
				if d == 4 {
					l = append(l, ringSample{WallUs: l[0].WallUs * 2, MilliW: 300_000}, ringSample{WallUs: 1 << 63, MilliW: 300_000})
				}
				return l
			}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, s := bent(t, x.bend)
			stamps, values, dropped := c.of("GPU-1")
			if dropped != x.dropped {
				t.Errorf("%d dropped, want %d", dropped, x.dropped)
			}
			if !slices.IsSorted(stamps) || slices.ContainsFunc(values, func(v int64) bool { return v != 300_000 }) {
				t.Error("stamps fall or values are bent")
			}
			if x.whole && (!rising(stamps, int64(fakePeriod)) || len(stamps) < 440) {
				t.Errorf("%d samples, some are missing", len(stamps))
			}
			for code := range codes(s) {
				if !x.events[code] {
					t.Errorf("event %s", code)
				}
			}
			if n := codes(s); len(n) != len(x.events) {
				t.Errorf("events %v, want %v", n, x.events)
			}
		})
	}
}

// A ring that turns to zeros gives no joule and no watermark.
func TestRingOfZeros(t *testing.T) {
	c, s := bent(t, func(drain int, l []ringSample) []ringSample {
		for i := range l {
			if drain > 2 { // the first finds the ring, the second drains it
				l[i].MilliW = 0
			}
		}
		return l
	})
	if len(c.batches["GPU-1"]) > 1 || codes(s)[EventSamplesRefused] == 0 {
		t.Errorf("%d batches, %v", len(c.batches["GPU-1"]), codes(s))
	}
}

// ringSteps drives the steps of a ring by hand.
func ringSteps(t *testing.T, steps func(t *testing.T, r *ring, g *fakeGPU, wall *int64, take func())) (out []sdk.SampleBatch, events []Event) {
	synctest.Test(t, func(t *testing.T) {
		g := newFake("GPU-1")
		shift := int64(0)
		clock := bubbleClocks()
		clock.wall = func() int64 { return time.Now().UnixNano() + shift }
		g.noisy = true
		var log eventLog
		r := &ring{gpu: g, domain: "GPU-1", clock: clock, events: &log, mostMilliW: 7e6, periodNs: ringUpdateNs, depth: ringDepth}
		steps(t, r, g, &shift, func() {
			list, _, err := r.step()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, list...)
		})
		events = log.since(0)
	})
	return out, events
}

// stampsOf also checks that nothing is noted as lost.
func stampsOf(t *testing.T, batches []sdk.SampleBatch) (stamps []int64) {
	t.Helper()
	for _, b := range batches {
		stamps = append(stamps, b.MonoNs...)
		if b.Dropped != 0 {
			t.Errorf("%d dropped", b.Dropped)
		}
	}
	return stamps
}

// However the wall clock is set, and whether the driver follows at once, never, or
// with stamps that run away as they do on an H100: no sample is lost or doubled and
// none is off by more than a period and a bit.
func TestWallClockStep(t *testing.T) {
	driver := map[string]func(step, since time.Duration) time.Duration{
		"follows": func(step, _ time.Duration) time.Duration { return step },
		"stays":   func(_, _ time.Duration) time.Duration { return 0 },
		"runs away": func(step, since time.Duration) time.Duration {
			return step + 40*time.Millisecond + since%(4*time.Second)*6/100
		},
		"falls behind": func(step, since time.Duration) time.Duration {
			return step - since%(4*time.Second)*6/100
		},
		"follows late, first in part": func(step, since time.Duration) time.Duration {
			switch {
			case since < 3*time.Second:
				return 0
			case since < 7*time.Second:
				return step * 6 / 10
			}
			return step
		},
		"follows when all seems well": func(step, since time.Duration) time.Duration {
			switch {
			case since < 15*time.Second:
				return 0
			case since < 19*time.Second:
				return step * 6 / 10
			}
			return step
		},
	}
	for name, follow := range driver {
		for _, step := range []time.Duration{-time.Hour, -2 * time.Second, -300 * time.Millisecond, -15 * time.Millisecond, 2 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second, time.Hour} {
			t.Run(name+" "+step.String(), func(t *testing.T) {
				batches, events := ringSteps(t, func(_ *testing.T, _ *ring, g *fakeGPU, shift *int64, take func()) {
					take()
					time.Sleep(615 * time.Millisecond)
					g.set(g.tick) // what is in the ring was stamped before the step
					*shift = int64(step)
					at := time.Now()
					g.set(func() {
						g.wall = func() int64 { return time.Now().UnixNano() + int64(follow(step, time.Since(at))) }
					})
					time.Sleep(385 * time.Millisecond)
					for range 30 {
						take()
						time.Sleep(time.Second)
						g.set(g.tick)
					}
				})
				stamps := stampsOf(t, batches)
				if want := ringDepth + 49 + 29*50; len(stamps) < want-2 || len(stamps) > want+2 {
					t.Errorf("%d samples, want %d", len(stamps), want)
				}
				for i, ns := range stamps {
					if off := time.Duration(ns - stamps[0] - int64(i)*int64(fakePeriod)); off < -42*time.Millisecond || off > 42*time.Millisecond {
						t.Fatalf("sample %d of %d is off by %v", i, len(stamps), off)
					}
				}
				n := map[string]int{}
				for _, e := range events {
					n[e.Code]++
				}
				if n[EventClockStep] != 1 || n[EventSamplesRefused] != 0 || name == "stays" && n[EventRingRetimed] != 0 {
					t.Errorf("%v", n)
				}
			})
		}
	}
}

// A ring that is less deep than a second is drained more often.
func TestAShallowRing(t *testing.T) {
	for _, c := range []struct {
		depth            int
		periodNs, atMost time.Duration
	}{{119, 20 * time.Millisecond, time.Second}, {119, 5 * time.Millisecond, 298 * time.Millisecond}, {10, 20 * time.Millisecond, 100 * time.Millisecond}} {
		ringSteps(t, func(t *testing.T, r *ring, g *fakeGPU, _ *int64, _ func()) {
			r.depth, r.periodNs = c.depth, int64(c.periodNs)
			begin := r.clock.mono()
			if _, next, err := r.step(); err != nil || next <= begin || next-begin > int64(c.atMost) {
				t.Errorf("%d deep at %v: the next drain is after %v, %v", c.depth, c.periodNs, time.Duration(next-begin), err)
			}
		})
	}
}

func TestLateDrain(t *testing.T) {
	batches, events := ringSteps(t, func(_ *testing.T, _ *ring, _ *fakeGPU, _ *int64, take func()) {
		time.Sleep(3 * time.Second)
		take()
		time.Sleep(5 * time.Second)
		take()
	})
	lost := uint64(250 - ringDepth)
	if len(batches) != 2 || batches[1].Dropped < lost-1 || batches[1].Dropped > lost+1 {
		t.Fatalf("%d batches, %d dropped, want about %d", len(batches), batches[len(batches)-1].Dropped, lost)
	}
	if len(events) != 1 || events[0].Code != EventRingLate || events[0].Count != batches[1].Dropped {
		t.Errorf("%v", events)
	}
}

// Whatever a driver answers, stamps rise, lie in the past and carry possible power.
func FuzzRing(f *testing.F) {
	f.Add([]byte("\x01\x02\x03"), int64(0))
	f.Add([]byte{200, 1, 100, 1, 0, 0, 255, 255, 20, 9}, int64(-5e9))
	f.Add([]byte{10, 1, 11, 1, 12, 1, 13, 1}, int64(2e6))
	f.Fuzz(func(t *testing.T, entries []byte, step int64) {
		now, shift := int64(1e15), int64(1e18)
		clock := clocks{mono: func() int64 { return now }, wall: func() int64 { return now + shift }}
		var list []ringSample
		for i := 0; i+1 < len(entries); i += 2 {
			s := ringSample{WallUs: uint64(now+shift)/1000 - 2_000_000 + uint64(entries[i])*10_000, MilliW: uint64(entries[i+1]) << 15}
			switch entries[i] {
			case 0:
				s.WallUs = 0
			case 255:
				s.WallUs, s.MilliW = 1<<63+uint64(entries[i+1]), noMilliW
			}
			list = append(list, s)
		}
		g := &listGPU{fakeGPU: &fakeGPU{uuid: "GPU-1"}, list: list}
		r := &ring{gpu: g, domain: "GPU-1", clock: clock, events: &eventLog{}, mostMilliW: 7e6, periodNs: ringUpdateNs, depth: ringDepth}
		last := int64(0)
		for range 4 {
			batches, next, err := r.step()
			if err != nil || next <= now {
				t.Fatal(err, next)
			}
			for _, b := range batches {
				for i, ns := range b.MonoNs {
					if ns <= last || ns > now || b.Values[i] <= 0 || b.Values[i] > 7e6 || b.Dropped > 1<<40 {
						t.Fatalf("%d mW at %d after %d, %d dropped", b.Values[i], ns, last, b.Dropped)
					}
					last = ns
				}
				if b.CompleteUntilNs != last {
					t.Fatalf("watermark %d, last stamp %d", b.CompleteUntilNs, last)
				}
			}
			now += 1e9
			shift += step % 1e17
		}
	})
}

// listGPU always answers with the same list.
type listGPU struct {
	*fakeGPU
	list []ringSample
}

func (g *listGPU) PowerRing(uint64) ([]ringSample, error) { return slices.Clone(g.list), nil }
