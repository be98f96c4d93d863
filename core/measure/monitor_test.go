package measure

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

func ptr[T any](v T) *T { return &v }

// gpu is a monitor of GPU-1 that is used by the processes of a rig and by others.
type gpu struct {
	rig    *rig
	others []int
	// change may spoil a look; hang keeps snapshots from ever coming back.
	change func(*device.Snapshot)
	// celsius is its temperature; nil = 50 °C.
	celsius func() int64
	hang    chan struct{}

	mu    sync.Mutex
	looks []int64 // stamps of snapshots

	inUse atomic.Int64 // for how many looks the GPU is still in use
}

func (g *gpu) Facts() []device.Facts {
	return []device.Facts{{UUID: "GPU-1", Persistence: ptr(true), MIG: ptr(false), Virtual: ptr(false), ECC: ptr(true), DefaultLimitMilliW: ptr(int64(200_000))}}
}

func (g *gpu) reading() device.Reading {
	celsius := int64(50)
	if g.celsius != nil {
		celsius = g.celsius()
	}
	return device.Reading{MonoNs: sdk.MonoNow(), TemperatureC: &celsius, SMClockMHz: ptr(int64(1980)), MemoryClockMHz: ptr(int64(2619)),
		UtilisationPct: ptr(int64(0)), LimitMilliW: ptr(int64(200_000)), Reasons: ptr(uint64(0))}
}

func (g *gpu) Read(uuids []string) map[string]device.Reading {
	if uuids != nil && !slices.Equal(uuids, []string{"GPU-1"}) {
		return nil
	}
	return map[string]device.Reading{"GPU-1": g.look()}
}

func (g *gpu) look() device.Reading {
	r := g.reading()
	*r.UtilisationPct = max(0, g.inUse.Add(-1))
	return r
}

func (g *gpu) Snapshot([]string) map[string]device.Snapshot {
	if g.hang != nil {
		<-g.hang
	}
	s := device.Snapshot{MonoNs: sdk.MonoNow(), Reading: g.look(), PowerCapNs: ptr(int64(0)), SWThermalNs: ptr(int64(0)), HWThermalNs: ptr(int64(0)),
		PowerBrakeNs: ptr(int64(0)), ECCUncorrected: ptr(int64(0)), RowRemapPending: ptr(false), Processes: []device.Process{}}
	for _, pid := range survivors(g.rig.mark) { // the backend alone: all else is in this process
		if g.rig.began.Load() != 0 {
			s.Processes = append(s.Processes, device.Process{PID: pid, Kind: "compute"})
		}
	}
	for _, pid := range g.others {
		s.Processes = append(s.Processes, device.Process{PID: pid, Kind: "compute"})
	}
	if g.change != nil {
		g.change(&s)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks = append(g.looks, s.MonoNs)
	return map[string]device.Snapshot{"GPU-1": s}
}

// gpuRig has one GPU with two readings, the second of which counts share of the
// first one's energy.
func gpuRig(t *testing.T, share float64) (*rig, *gpu) {
	r := newRig(t, "gpu").ranked()
	r.study.Energy = []string{"inside", "counter"}
	r.checks = []sdk.CellCheck{{Abilities: sdk.Abilities{Devices: []sdk.DeviceNeed{{Kind: "gpu", Min: 1, Max: 1}}}}}
	r.options.waits.reading = 50 * time.Millisecond
	r.each(func(c *study.Cell) { c.Protocol.IdleS = 0.2 })
	onGPU := func(d *sdk.Domain) { d.ID, d.Kind, d.DeviceIDs = "package-0", sdk.DomainGPU, []string{"GPU-1"} }
	r.meter.domain = onGPU
	counted := 0.0
	r.counter = &meter{
		domain: func(d *sdk.Domain) {
			onGPU(d)
			d.Reading, d.Unit, d.UpdatePeriodNs = sdk.ReadingCounter, sdk.UnitJoule, 2*int64(meterPeriod)
		},
		change: func(b *sdk.SampleBatch) bool {
			counted += share * 100 * meterPeriod.Seconds() * 1000
			b.Values[0] = int64(math.Round(counted))
			return true
		},
	}
	g := &gpu{rig: r}
	r.monitor = g
	return r, g
}

// A GPU is looked at before the load and after the Run, never in it, and read in
// the Run; its second reading is held against the first.
func TestAGPUIsWatched(t *testing.T) {
	r, g := gpuRig(t, 1)
	got := r.one()
	if len(got.Devices) != 1 || got.Devices[0].Before == nil || got.Devices[0].After == nil || !got.Ranked {
		t.Fatalf("ranked %v, %s, devices %+v", got.Ranked, codes(got), got.Devices)
	}
	rows := got.Devices[0].Readings.Rows()
	if len(rows) < 10 || rows[0].MonoNs > got.Run.BeginNs+100e6 || *rows[0].SMClockMHz != 1980 {
		t.Errorf("%d readings: %+v", len(rows), rows)
	}
	if len(g.looks) != 2 || g.looks[0] > got.Load.BeginNs || g.looks[1] < got.Run.EndNs {
		t.Errorf("looked at %v, loaded from %d, the Run is %d to %d", g.looks, got.Load.BeginNs, got.Run.BeginNs, got.Run.EndNs)
	}
	for _, code := range []string{"foreign_process", "thermal_throttle", "power_limit_changed", "clocks_moved", "temp_drift", "counter_vs_power", "implausible_power", "persistence_off", "clock_step", "no_output"} {
		if !slices.Contains(got.Gates.Passed, code) {
			t.Errorf("%s has not passed: %+v", code, got.Gates)
		}
	}
	for _, code := range []string{"prefix_cache_hit"} { // the backend does not count them
		if got.Gates.Unknown[code] == "" {
			t.Errorf("%s is not unknown: %+v", code, got.Gates)
		}
	}
	if len(got.Audit) != 2 || got.Audit[0].FromNs > got.Windows[0].FromNs || got.Audit[0].ToNs < got.Run.EndNs || got.Audit[1].ToNs != got.Windows[0].ToNs {
		t.Fatalf("audits %+v", got.Audit)
	}
	for _, a := range got.Audit {
		if a.Ratio == nil || math.Abs(*a.Ratio-1) > 0.01 || a.Domain != "inside/package-0" || a.Check != "counter/package-0" || a.Code != "" {
			t.Errorf("audit %+v", a)
		}
	}
	if h := got.HostLoad; h == nil || h.Others == nil || h.OwnCPUs == nil {
		t.Errorf("host load %+v", h)
	}
}

// What the gates find fatal about a GPU keeps the trial out of estimates; what
// the counter says is not applied to the joules.
func TestGatesOfAGPU(t *testing.T) {
	for _, c := range []struct {
		name, code string
		share      float64
		spoil      func(*rig, *gpu)
	}{
		{name: "somebody else's process", code: "foreign_process", share: 1, spoil: func(_ *rig, g *gpu) { g.others = []int{1} }},
		{name: "heat", code: "thermal_throttle", share: 1, spoil: func(_ *rig, g *gpu) {
			n := int64(0)
			g.change = func(s *device.Snapshot) { n += 50e6; s.HWThermalNs = ptr(n) }
		}},
		{name: "the counter disagrees", code: "counter_vs_power", share: 0.8},
		{name: "above any limit", code: "implausible_power", share: 1, spoil: func(_ *rig, g *gpu) {
			g.change = func(s *device.Snapshot) { s.Reading.LimitMilliW = ptr(int64(50_000)) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, g := gpuRig(t, c.share)
			if c.spoil != nil {
				c.spoil(r, g)
			}
			got := r.one()
			wantExcluded(t, got, c.code)
			if !slices.Contains(got.Gates.Found, c.code) {
				t.Errorf("%+v", got.Gates)
			}
			near(t, "power", *got.Windows[0].MeanPowerW, 100, 1e-6)
		})
	}
}

// A GPU that no source describes, and a driver that hangs, leave gates unknown.
// What a source noticed is told.
func TestAGPUThatNobodyDescribes(t *testing.T) {
	for name, spoil := range map[string]func(*rig, *gpu){
		"no monitor": func(r *rig, _ *gpu) {
			r.monitor = nil
			r.notes = []energy.Warning{{Code: "ring_late", Severity: energy.SeverityWarning, Message: "late"}}
		},
		"hangs": func(r *rig, g *gpu) {
			g.hang = make(chan struct{})
			r.t.Cleanup(func() { close(g.hang) })
			r.options.waits.look = 50 * time.Millisecond
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, g := gpuRig(t, 1)
			spoil(r, g)
			got := r.one()
			for _, code := range []string{"foreign_process", "power_brake", "ecc_error", "row_remap_pending"} {
				if got.Gates.Unknown[code] == "" {
					t.Errorf("%s is not unknown: %+v", code, got.Gates)
				}
			}
			wantCode(t, got, "gates_unknown/info")
			if name == "no monitor" {
				wantCode(t, got, "ring_late/warning")
			}
		})
	}
}

// A trial that fails keeps what was seen of its devices.
func TestAFailedTrialKeepsItsDevices(t *testing.T) {
	r, _ := gpuRig(t, 1)
	r.options.waits.watermark = 300 * time.Millisecond
	r.meter.change = func(b *sdk.SampleBatch) bool { b.CompleteUntilNs = 0; return true }
	_, _, failed, err := r.run(t.Context())
	if err != nil || len(failed) != 1 || failed[0].Failure.Code != codeNoEnergy {
		t.Fatalf("%+v, %v", failed, err)
	}
	if d := failed[0].Devices; len(d) != 1 || d[0].Before == nil || d[0].After == nil || len(d[0].Readings.Rows()) == 0 {
		t.Errorf("devices %+v", d)
	}
}

// What the trial before left in a GPU's utilisation passes; somebody's use stays.
func TestAGPUMayBecomeIdle(t *testing.T) {
	for looks, want := range map[int64]int64{0: 0, 3: 0, 1e9: 1} {
		g := &gpu{rig: &rig{mark: t.TempDir()}}
		g.inUse.Store(looks)
		w := &watch{limit: time.Minute, idle: 60 * time.Millisecond, unloadedNs: sdk.MonoNow()}
		w.begin(t.Context(), []openSource{{Source: Source{Monitor: g}}})
		if got := *w.before["GPU-1"].Reading.UtilisationPct; min(got, 1) != want {
			t.Errorf("in use for %d looks: utilisation %d", looks, got)
		}
	}
}

// Of the looks before a load those count that cannot be the trial's before.
func TestInUse(t *testing.T) {
	for name, c := range map[string]struct {
		oursNs int64
		looks  []int64 // utilisation, 250 ms apart; -1 = not known
		want   int64
	}{
		"idle":                        {0, []int64{0, 0, 0, 0}, 0},
		"decays":                      {3e9, []int64{90, 60, 20, 3, 0, 0}, 0},
		"decays until the last look":  {3e9, []int64{90, 60, 20, 0}, 0},
		"one look":                    {3e9, []int64{50, 0, 0, 7, 0}, 0},
		"comes and goes":              {3e9, []int64{0, 0, 40, 30, 0, 0}, 30},
		"comes after a decay":         {3e9, []int64{90, 20, 0, 0, 10, 12}, 10},
		"nothing of ours was before":  {0, []int64{90, 20, 0, 0}, 20},
		"longer than ours may last":   {0.6e9, []int64{90, 90, 90, 80, 70}, 70},
		"never idle, and none counts": {3e9, []int64{90, 90, 80}, 80},
		"not known":                   {0, []int64{-1, -1}, -1},
		"known at times":              {0, []int64{-1, 5, -1, 4}, 4},
	} {
		var list []device.Reading
		for i, pct := range c.looks {
			r := device.Reading{MonoNs: int64(i) * 250e6}
			if pct >= 0 {
				r.UtilisationPct = &pct
			}
			list = append(list, r)
		}
		got := int64(-1)
		if pct := inUse(list, c.oursNs).UtilisationPct; pct != nil {
			got = *pct
		}
		if got != c.want {
			t.Errorf("%s: %d %%, want %d", name, got, c.want)
		}
	}
}

// A cell on CPU has no GPU gates, and an estimate is no second reading.
func TestGatesOfACPUCell(t *testing.T) {
	got := newRig(t, "").ranked().one()
	for _, code := range []string{"mig_on", "foreign_process", "counter_vs_power"} {
		if !slices.Contains(got.Gates.NotApplicable, code) {
			t.Errorf("%s is judged: %+v", code, got.Gates)
		}
	}
	if got.Devices != nil || got.Audit != nil {
		t.Errorf("devices %+v, audit %+v", got.Devices, got.Audit)
	}
	d := func(id string, estimated bool) energy.Domain {
		return energy.Domain{ID: id, Kind: energy.KindCPUPackage, DeviceIDs: []string{"package-0"}, Reading: energy.ReadingCounter, Estimated: estimated}
	}
	silent := d("silent/p", false)
	silent.Reading, silent.AveragingNs = energy.ReadingInstant, 25e6 // of a period that nobody knows
	if checks := checksOf(energy.Headline([]energy.Domain{d("rapl/p", false), silent}, nil)); len(checks) != 0 {
		t.Errorf("a sensor that may look away checks: %v", checks)
	}
	checks := checksOf(energy.Headline([]energy.Domain{d("rapl/p", false), d("other/p", false), d("hostpower/p", true)}, nil))
	if len(checks) != 1 || !slices.Equal(checks["other/p"], []string{"rapl/p"}) {
		t.Errorf("checks %v", checks)
	}
}

func TestWhatTheEngineCounts(t *testing.T) {
	counters := func(steps, cached int64, mean float64) *sdk.Counters {
		return &sdk.Counters{EngineSteps: &steps, CachedPromptTokens: &cached, RunningMean: &mean}
	}
	run := &result.Run{Before: counters(100, 7, 1), After: counters(300, 19, 21)}
	if mean := runningMean(run); mean == nil || *mean != 31 {
		t.Errorf("the mean over the Run is %v", mean)
	}
	if n := cachedTokens(run, nil); n == nil || *n != 12 {
		t.Errorf("cached %v", n)
	}
	run.Before.EngineSteps, run.After.CachedPromptTokens = nil, nil
	if mean := runningMean(run); mean == nil || *mean != 21 {
		t.Errorf("the mean since the load is %v", mean)
	}
	done := []sdk.Completion{{CachedPromptTokens: ptr(uint32(3))}, {Error: "x"}, {CachedPromptTokens: ptr(uint32(4))}}
	if n := cachedTokens(run, []cut{{Completions: done}}); n == nil || *n != 7 {
		t.Errorf("cached %v", n)
	}
	if n := cachedTokens(run, []cut{{Completions: append(done, sdk.Completion{})}}); n != nil {
		t.Errorf("one does not say, and %d are cached", *n)
	}
	if runningMean(&result.Run{}) != nil || cachedTokens(&result.Run{}, nil) != nil {
		t.Error("known from nothing")
	}
}

func TestSpanOfACut(t *testing.T) {
	c := cut{Requests: 4, Completions: []sdk.Completion{{FinishReason: "length"}, {FinishReason: "stop"}, {FinishReason: "aborted"}, {Error: "x"}}}
	if s := c.span(); s.Capped == nil || *s.Capped != 1 || s.Aborted != 1 {
		t.Errorf("%+v", s)
	}
	c.Completions = append(c.Completions, sdk.Completion{})
	if s := c.span(); s.Capped != nil {
		t.Errorf("a request without a reason: %+v", s)
	}
}
