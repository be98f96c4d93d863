package nvml

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Eight GPUs with the call costs of an H200 (0.62 ms CPU for a drain, 6 ms for a
// counter, 50 µs for the rest) over ten minutes of a standard study: a Run each
// 150 s with a mark at its begin and end, a reading each second and a snapshot
// around each Run. Nothing is lost, and all calls together take at most 2 % of a
// core. Time is simulated, so the share is calls times cost.
func TestSampler(t *testing.T) {
	const gpus, minutes = 8, 10
	synctest.Test(t, func(t *testing.T) {
		var fakes []*fakeGPU
		for i := range gpus {
			g := newFake(fmt.Sprintf("GPU-%d", i))
			g.fields[field{fieldPowerAverage, scopeMemory}] = 43_000
			fakes = append(fakes, g)
		}
		s := sourceOf(fakes...)
		const span = minutes * time.Minute
		marks := 0
		c, _, err := streamed(t, s, span, func() {
			for second := range int(span.Seconds()) {
				s.Read(nil)
				switch second % 150 {
				case 45, 145:
					s.Mark()
					marks++
				case 44, 146:
					s.Snapshot(nil)
				}
				time.Sleep(time.Second - time.Duration(s.clock.mono())%time.Second)
			}
		})
		if err != nil || len(s.Events(0)) != 0 {
			t.Fatalf("%v, %v", err, s.Events(0))
		}
		var cpu time.Duration
		var ring, counter, light int
		for _, g := range fakes {
			stamps, _, dropped := c.of(g.uuid)
			if least := int(span/fakePeriod) - 60; dropped != 0 || len(stamps) < least || !rising(stamps, int64(fakePeriod)) {
				t.Errorf("%s: %d samples, %d dropped", g.uuid, len(stamps), dropped)
			}
			ring, counter, light = ring+g.ringCalls, counter+g.counterCalls, light+g.lights
			cpu += time.Duration(g.ringCalls)*g.ringCost + time.Duration(g.counterCalls)*g.counterCost + time.Duration(g.lights)*g.cost
		}
		share := cpu.Seconds() / span.Seconds()
		t.Logf("%d GPUs, %d min, %d marks: %d drains, %d counter reads, %d light calls: %.2f %% of a core, 0 samples lost", gpus, minutes, marks, ring, counter, light, 100*share)
		if share > 0.02 {
			t.Errorf("%.2f %% of a core", 100*share)
		}
	})
}
