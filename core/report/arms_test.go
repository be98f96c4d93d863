package report

import (
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/result"
)

func armOf(label string, clockMHz, limitMilliW, startC int64) Cell {
	reading := func(ns int64) device.Reading { return device.Reading{MonoNs: ns, SMClockMHz: &clockMHz} }
	outside := int64(300)
	return Cell{Label: label, loads: []result.Trial{{
		Windows: []result.Window{{FromNs: 10, ToNs: 20}},
		Devices: []result.Device{{
			Before:   &device.Snapshot{Reading: device.Reading{LimitMilliW: &limitMilliW, TemperatureC: &startC}},
			Readings: result.NewReadings([]device.Reading{{MonoNs: 5, SMClockMHz: &outside}, reading(12), reading(18), {MonoNs: 25, SMClockMHz: &outside}}),
		}},
	}}}
}

func TestUnlikeArms(t *testing.T) {
	base := armOf("a", 1980, 700_000, 40)
	for name, c := range map[string]struct {
		other Cell
		want  []string
	}{
		"alike":         {armOf("b", 1945, 700_000, 45), nil},
		"clock":         {armOf("b", 1935, 700_000, 40), []string{"clocks_differ"}},
		"limit":         {armOf("b", 1980, 600_000, 40), []string{"power_limits_differ"}},
		"limit, a hair": {armOf("b", 1980, 700_400, 40), nil},
		"limit by 1 W":  {armOf("b", 1980, 701_000, 40), []string{"power_limits_differ"}},
		"start":         {armOf("b", 1980, 700_000, 46), []string{"start_temperature_spread"}},
		"nothing seen":  {Cell{Label: "b", loads: []result.Trial{{}}}, nil},
	} {
		var got []string
		for _, w := range unlikeArms([]Cell{base, c.other}, []int{0, 1}) {
			got = append(got, w.Code)
		}
		if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
