package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
)

// Idle power is known of a device whose samples tell it, whatever a seldom read counter
// beside them lacks; a counter of its own is missed.
func TestIdlePowerOfASeldomReadCounterIsNotMissed(t *testing.T) {
	traces := map[string]*energy.Trace{}
	for _, d := range []struct {
		id, device string
		reading    energy.Reading
		untilNs    int64
	}{
		{"a", "GPU-a", energy.ReadingIntervalMean, 6e9},
		{"a/counter", "GPU-a", energy.ReadingCounter, 1e9},
		{"b/counter", "GPU-b", energy.ReadingCounter, 1e9},
	} {
		domain := energy.Domain{ID: d.id, Kind: energy.KindGPU, DeviceIDs: []string{d.device}, Source: "nvml", Reading: d.reading, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1}
		var samples []energy.Sample
		for ns := int64(0); ns <= d.untilNs; ns += 100e6 {
			samples = append(samples, energy.Sample{MonoNs: ns, Value: 100 + ns/1e7})
		}
		trace, err := energy.NewTrace(domain, samples, 20e9)
		if err != nil {
			t.Fatal(err)
		}
		traces[d.id] = trace
	}
	power, unknown := idlePower(traces, 2e9, 4e9)
	if len(power) != 1 || power["a"] <= 0 {
		t.Errorf("idle power %v", power)
	}
	if len(unknown) != 1 || !strings.Contains(unknown[0].Error(), `"b/counter"`) {
		t.Errorf("unknown: %v", unknown)
	}
}
