package main

import "testing"

// Each step is a reading after the given time; want is the sum since the first
// reading of its epoch.
func TestCounter(t *testing.T) {
	const ms = int64(1_000_000)
	type step struct {
		raw   uint64
		after int64
		value int64
		epoch uint32
	}
	for name, c := range map[string]struct {
		rangeUJ uint64
		steps   []step
	}{
		"rising":                       {1_000_000_000, []step{{500, 0, 500, 0}, {700, 100 * ms, 700, 0}, {700, 100 * ms, 700, 0}}},
		"wrap":                         {1_000_000_000, []step{{999_999_000, 0, 999_999_000, 0}, {500, 100 * ms, 1_000_000_500, 0}, {600, 100 * ms, 1_000_000_600, 0}}},
		"two wraps":                    {400_000_100, []step{{400_000_000, 0, 400_000_000, 0}, {50, 50 * ms, 400_000_150, 0}, {200_000_000, 50 * ms, 600_000_100, 0}, {400_000_000, 50 * ms, 800_000_100, 0}, {10, 50 * ms, 800_000_210, 0}}},
		"driver reloaded":              {262_143_328_850, []step{{1_000_000_000, 0, 1_000_000_000, 0}, {12, 100 * ms, 12, 1}, {112, 100 * ms, 112, 1}}},
		"leap no machine could make":   {262_143_328_850, []step{{1000, 0, 1000, 0}, {100_000_000_000, 100 * ms, 100_000_000_000, 1}}},
		"silence longer than a wrap":   {65_712_999_613, []step{{1000, 0, 1000, 0}, {2000, 40_000 * ms, 2000, 1}}},
		"fall of unknown range":        {0, []step{{1000, 0, 1000, 0}, {999, 100 * ms, 999, 1}}},
		"register beyond its range":    {100_000_000_000, []step{{100_000_000_001, 0, 100_000_000_001, 0}, {5, 100 * ms, 5, 1}}},
		"long silence, range is wider": {262_143_328_850, []step{{1000, 0, 1000, 0}, {10_000_001_000, 60_000 * ms, 10_000_001_000, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			counter := counter{rangeUJ: c.rangeUJ, mostW: mostPackageW}
			at := int64(1e12)
			for i, s := range c.steps {
				at += s.after
				counter.add(s.raw, at)
				if counter.value != s.value || counter.epoch != s.epoch {
					t.Errorf("step %d: value %d in epoch %d, want %d in %d", i, counter.value, counter.epoch, s.value, s.epoch)
				}
			}
		})
	}
}

// Whatever is read, the value never falls within an epoch.
func FuzzCounter(f *testing.F) {
	f.Add(uint64(1000), uint64(10), uint64(990), uint64(5), int64(100_000_000))
	f.Add(uint64(0), uint64(10), uint64(9), uint64(1<<62), int64(0))
	f.Fuzz(func(t *testing.T, rangeUJ, a, b, c uint64, after int64) {
		after &= 1<<40 - 1
		counter := counter{rangeUJ: rangeUJ >> 1, mostW: mostPackageW}
		at := int64(1e12)
		var value int64
		var epoch uint32
		for i, raw := range []uint64{a, b, c} {
			at += after
			counter.add(raw>>1, at) // as readCount gives it
			if i > 0 && (counter.epoch < epoch || counter.epoch == epoch && counter.value < value) {
				t.Fatalf("fell from %d in epoch %d to %d in epoch %d", value, epoch, counter.value, counter.epoch)
			}
			value, epoch = counter.value, counter.epoch
		}
	})
}
