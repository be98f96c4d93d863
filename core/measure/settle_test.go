package measure

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

func TestSettleRule(t *testing.T) {
	rule := newSettleRule(3)
	times := []float64{0.5, 0.505, 0.5}
	flat := &powerTrend{meanW: 100, stretchNs: 3e9}
	rising := &powerTrend{meanW: 100, slopeRelPerS: 0.0004, stretchNs: 3e9} // 1.2 % in 30 s
	for _, c := range []struct {
		name          string
		state         settleState
		over, settled bool
		words         string
	}{
		{name: "too early", state: settleState{sinceBeginNs: 2e9, passes: 4, passTimes: times, power: flat}},
		{name: "settled", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: flat}, over: true, settled: true, words: "temperature not known"},
		{name: "as warm as before", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: flat, temperature: &drift{-1, 0}}, over: true, settled: true, words: "temperature -1.0 ± 0.0 °C (wanted at most 1 °C)"},
		{name: "power drifts", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: rising}},
		{name: "power not known", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times}},
		{name: "one does not tell", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: flat, temperature: &drift{-1, 0}, silent: []string{"GPU-2"}}, over: true, settled: true, words: "temperature of GPU-2 not known"},
		{name: "warming, one does not tell", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: flat, temperature: &drift{2, 0.5}, silent: []string{"GPU-2"}}},
		{name: "warming", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: times, power: flat, temperature: &drift{2, 0.5}}},
		{name: "times jump", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: []float64{0.5, 0.53, 0.5}, power: flat}},
		{name: "counting explains the jump", state: settleState{sinceBeginNs: 3e9, passes: 6, passTimes: []float64{0.5, 0.53, 0.5}, countingRel: 0.05, power: flat}, over: true, settled: true},
		{name: "few passes", state: settleState{sinceBeginNs: 3e9, passes: 2, passTimes: times[:2], power: flat}},
		{name: "cap", state: settleState{sinceBeginNs: 9e9, passes: 6, passTimes: times, power: rising}, over: true, words: "power slope +1.20 % in 30 s, seen over 3.0 s (wanted below 1 %)"},
		{name: "cap with nothing known", state: settleState{sinceBeginNs: 9e9}, over: true, words: "0 passes (wanted 3), pass time not known, power not known, temperature not known"},
	} {
		over, got := rule.decide(c.state)
		if over != c.over || over && got.Settled != c.settled {
			t.Errorf("%s: over=%v settled=%v, want %v %v", c.name, over, got.Settled, c.over, c.settled)
		}
		if over && (!strings.Contains(got.Reason, c.words) || !strings.Contains(got.Reason, "a quick look: 10 s")) {
			t.Errorf("%s: the reason is %q", c.name, got.Reason)
		}
	}
	if long := newSettleRule(60); long.leastNs != 60e9 || long.mostNs != 180e9 {
		t.Errorf("60 s come to %+v", long)
	}
	if longest := newSettleRule(300); longest.mostNs != longest.leastNs {
		t.Errorf("a study that asks for more than the cap gets %d ns", longest.mostNs)
	}
}

// Each criterion holds just below its limit and not just above.
func TestSettleLimits(t *testing.T) {
	spread := func(cv float64) []float64 { return []float64{1 - cv, 1, 1 + cv} }
	slope := func(in30s float64) *powerTrend {
		return &powerTrend{meanW: 100, slopeRelPerS: in30s / 30, slopeErrorRelPerS: 0.001 / 30, stretchNs: 3e9}
	}
	good := func() settleState {
		return settleState{sinceBeginNs: 60e9, passes: 3, passTimes: spread(0), power: slope(0), temperature: &drift{}}
	}
	for _, c := range []struct {
		name    string
		settled bool
		change  func(*settleState)
	}{
		{"all hold", true, func(*settleState) {}},
		{"two passes", false, func(s *settleState) { s.passes = 2 }},
		{"pass times within 2 %", true, func(s *settleState) { s.passTimes = spread(0.0199) }},
		{"pass times beyond 2 %", false, func(s *settleState) { s.passTimes = spread(0.0201) }},
		{"power within 1 %", true, func(s *settleState) { s.power = slope(-0.0099) }},
		{"power beyond 1 %", false, func(s *settleState) { s.power = slope(-0.0101) }},
		{"of an open loop within three errors more", true, func(s *settleState) { s.open, s.power = true, slope(0.0129) }},
		{"of an open loop beyond", false, func(s *settleState) { s.open, s.power = true, slope(0.0131) }},
		{"temperature within 1 °C and its error", true, func(s *settleState) { s.temperature = &drift{-1.49, 0.5} }},
		{"temperature beyond", false, func(s *settleState) { s.temperature = &drift{-1.51, 0.5} }},
	} {
		state := good()
		c.change(&state)
		if got := state.judge(); got.Settled != c.settled {
			t.Errorf("%s: %s", c.name, got.Reason)
		}
	}
	if rule := newSettleRule(70); rule.leastNs != 70e9 || rule.mostNs != 180e9 {
		t.Errorf("70 s come to %+v", rule)
	}
}

// powerTrace has one sample of mean power every 100 ms for 60 s.
func powerTrace(t *testing.T, watts func(s float64) float64) *energy.Trace {
	t.Helper()
	domain := energy.Domain{ID: "d", Kind: energy.KindGPU, Reading: energy.ReadingIntervalMean, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1e6}
	var samples []energy.Sample
	for ns := int64(100e6); ns <= 61e9; ns += 100e6 {
		samples = append(samples, energy.Sample{MonoNs: ns, Value: int64(1e6 * watts(float64(ns-50e6)/1e9))})
	}
	trace, err := energy.NewTrace(domain, samples, 61e9)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func TestTrend(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name       string
		watts      func(s float64) float64
		fromS      float64
		slope, tol float64 // relative change in 30 s
	}{
		{"flat", func(float64) float64 { return 300 }, 0, 0, 1e-9},
		{"drifting", func(s float64) float64 { return 300 + s }, 0, 30.0 / 345, 1e-4},
		{"warming up", func(s float64) float64 { return 300 - 30*math.Exp(-s/10) }, 0, 0.00415, 1e-4},
		// 5 % of each sample is 1.6 % of a mean over 1 s, and of the slope over
		// 30 s 1 % is one standard deviation.
		{"noisy", func(float64) float64 { return 300 * (1 + 0.05*random.NormFloat64()) }, 0, 0, 0.035},
		// A line through a step of 10 % in the middle rises by 1.5 times the step.
		{"stepping", func(s float64) float64 { return 300 + 30*math.Floor(s/45) }, 0, 0.15 / 1.05, 0.002},
		{"short and drifting", func(s float64) float64 { return 300 + s }, 58, 30.0 / 359, 5e-4},
	} {
		trace := powerTrace(t, c.watts)
		got := trend([]*energy.Trace{trace}, int64(c.fromS*1e9), 60e9)
		if got == nil || math.Abs(30*got.slopeRelPerS-c.slope) > c.tol {
			t.Errorf("%s: %+v, want %g in 30 s", c.name, got, c.slope)
		}
		// The same curve of two devices has the same relative slope.
		two := trend([]*energy.Trace{trace, trace}, int64(c.fromS*1e9), 60e9)
		if got != nil && (two.meanW != 2*got.meanW || math.Abs(two.slopeRelPerS-got.slopeRelPerS) > 1e-12) {
			t.Errorf("%s: two devices have %+v, one has %+v", c.name, two, got)
		}
	}
	flat := powerTrace(t, func(float64) float64 { return 300 })
	for name, got := range map[string]*powerTrend{
		"nothing": trend(nil, 0, 60e9), "no time": trend([]*energy.Trace{flat}, 60e9, 60e9),
		"few updates": trend([]*energy.Trace{flat}, 59.5e9, 60e9), "not there yet": trend([]*energy.Trace{flat}, 30e9, 90e9),
	} {
		if got != nil {
			t.Errorf("%s: %+v, want unknown", name, got)
		}
	}
}

func TestWarming(t *testing.T) {
	readings := func(celsius ...int64) (list []device.Reading) {
		for i, c := range celsius {
			r := device.Reading{MonoNs: int64(i) * 1e9}
			if c != 0 {
				r.TemperatureC = &c
			}
			list = append(list, r)
		}
		return list
	}
	for name, c := range map[string]struct {
		devices map[string][]device.Reading
		want    float64 // NaN = unknown
		silent  string
	}{
		"none":             {nil, math.NaN(), ""},
		"one":              {map[string][]device.Reading{"a": readings(60, 60, 61, 61, 62)}, 2, ""},
		"ripple":           {map[string][]device.Reading{"a": readings(60, 71, 59, 60, 72, 60, 70, 60, 61)}, 1.0 / 3, ""},
		"the greatest":     {map[string][]device.Reading{"a": readings(60, 60, 60, 60, 61), "b": readings(70, 70, 70, 68, 67)}, -3, ""},
		"before":           {map[string][]device.Reading{"a": append(readings(60, 60, 60, 60, 60), device.Reading{MonoNs: 9e9, TemperatureC: new(int64)})}, 0, ""},
		"one says none":    {map[string][]device.Reading{"a": readings(60, 60, 60, 60, 61), "b": readings(0, 0, 0, 0, 0)}, 1, "b"},
		"too short a look": {map[string][]device.Reading{"a": readings(0, 0, 0, 60, 61)}, math.NaN(), "a"},
	} {
		got := math.NaN()
		until := int64(4e9)
		if name == "ripple" {
			until = 8e9
		}
		d, silent := warming(c.devices, 0, until)
		if strings.Join(silent, ",") != c.silent {
			t.Errorf("%s: %v are silent", name, silent)
		}
		if d != nil {
			got = d.riseC
		}
		if math.Abs(got-c.want) > 1e-9 && !(math.IsNaN(got) && math.IsNaN(c.want)) || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("%s: %g °C, want %g", name, got, c.want)
		}
	}
}

func TestRoundTimes(t *testing.T) {
	var beats []sdk.Heartbeat
	for s, done := range []int64{0, 80, 160, 240, 320, 400, 480, 560} {
		beats = append(beats, sdk.Heartbeat{MonoNs: int64(s) * 1e9, Done: done})
	}
	times, counting := roundTimes(beats, 1e9, 8)
	if len(times) != 3 || variation(times) > 1e-9 || times[0] != 1.0/80 || counting != 0.5*8/160 {
		t.Errorf("times %v, counting %g", times, counting)
	}
	for name, got := range map[string][]sdk.Heartbeat{"none": nil, "too few": beats[:4], "standing still": {beats[1], beats[1], beats[1], beats[1]}} {
		if times, _ := roundTimes(got, 1e9, 8); times != nil {
			t.Errorf("%s: %v", name, times)
		}
	}
}

// Power and requests in flight of random arrivals move by chance: that is no drift.
// A queue that grows is one.
func TestSettlingUnderRandomArrivals(t *testing.T) {
	beats := func(inFlight func(i int) int64) []sdk.Heartbeat {
		var list []sdk.Heartbeat
		for i := range 31 {
			list = append(list, sdk.Heartbeat{MonoNs: int64(i) * 1e9, Sent: int64(10 * i), InFlight: inFlight(i)})
		}
		return list
	}
	for name, c := range map[string]struct {
		inFlight func(i int) int64
		settled  bool
	}{
		"idle":     {func(int) int64 { return 0 }, true},
		"by turns": {func(i int) int64 { return int64(4 + 3*(i%3)) }, true},
		"growing":  {func(i int) int64 { return int64(2 * i) }, false},
	} {
		rounds, countingRel := flow(beats(c.inFlight), 0)
		noisy := &powerTrend{meanW: 100, slopeRelPerS: 0.002, slopeErrorRelPerS: 0.001, stretchNs: 30e9} // 6 % in 30 s
		got := settleState{open: true, passes: 9, passTimes: rounds, countingRel: countingRel, power: noisy}.judge()
		if got.Settled != c.settled || !strings.Contains(got.Reason, "requests in flight CV") {
			t.Errorf("%s: %+v", name, got)
		}
		noisy.slopeErrorRelPerS = 0.0005
		if got := (settleState{open: true, passes: 9, passTimes: rounds, countingRel: countingRel, power: noisy}).judge(); got.Settled {
			t.Errorf("%s: a slope of four standard errors is no drift: %s", name, got.Reason)
		}
	}
	if rounds, _ := flow(beats(func(int) int64 { return 1 })[:2], 0); rounds != nil {
		t.Errorf("two heartbeats give %v", rounds)
	}
}

// A load that draws the same from its first moment on is steady, though the reading
// around its begin holds idle power, too.
func TestTrendOfASuddenLoad(t *testing.T) {
	const begin = int64(10.03e9)
	d := energy.Domain{ID: "gpu", Kind: energy.KindGPU, Reading: energy.ReadingCounter, UpdateNs: 100e6, UnitNum: 1, UnitDen: 1000}
	var samples []energy.Sample
	for at := int64(0); at <= 14e9; at += 100e6 {
		milliJ := at/1e6*50 + max(0, at-begin)/1e6*150
		samples = append(samples, energy.Sample{MonoNs: at, Value: milliJ})
	}
	trace, err := energy.NewTrace(d, samples, 14e9)
	if err != nil {
		t.Fatal(err)
	}
	got := trend([]*energy.Trace{trace}, begin, begin+3e9)
	if got == nil || math.Abs(got.slopeRelPerS)*30 > 0.01 {
		t.Errorf("%+v", got)
	}
}
