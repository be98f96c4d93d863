package gate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
)

func ptr[T any](v T) *T { return &v }

const card = "GPU-1"

// good is a trial on one GPU in which all is well: a Run of 60 s, the last 30 s
// of it the window.
func good() *Input {
	domain := Domain{PeriodNs: 20e6, Domain: energy.Domain{ID: card, Kind: energy.KindGPU, DeviceIDs: []string{card},
		Reading: energy.ReadingIntervalMean, UpdateNs: 20e6, UnitNum: 1, UnitDen: 1000}}
	d := Device{
		Own: 1, PowerBeforeW: ptr(80.0), ContextIdleW: ptr(130.0),
		Facts: device.Facts{UUID: card, Persistence: ptr(true), MIG: ptr(false), Virtual: ptr(false), ECC: ptr(true), DefaultLimitMilliW: ptr(int64(700_000))},
		Before: &device.Snapshot{Processes: []device.Process{}, PowerCapNs: ptr(int64(5e9)), SWThermalNs: ptr(int64(7e9)), HWThermalNs: ptr(int64(0)), PowerBrakeNs: ptr(int64(3)),
			ECCUncorrected: ptr(int64(0)), RowRemapPending: ptr(false), Reading: device.Reading{UtilisationPct: ptr(int64(0)), LimitMilliW: ptr(int64(700_000))}},
		After: &device.Snapshot{Processes: []device.Process{{PID: 4711, Kind: "compute"}}, PowerCapNs: ptr(int64(5e9)), SWThermalNs: ptr(int64(7e9)), HWThermalNs: ptr(int64(0)), PowerBrakeNs: ptr(int64(3)),
			ECCUncorrected: ptr(int64(0)), RowRemapPending: ptr(false), Reading: device.Reading{LimitMilliW: ptr(int64(700_000))}},
	}
	for s := range int64(61) {
		d.Readings = append(d.Readings, device.Reading{MonoNs: 70e9 + s*1e9, TemperatureC: ptr(int64(60)), SMClockMHz: ptr(int64(1980)),
			MemoryClockMHz: ptr(int64(2619)), UtilisationPct: ptr(int64(100)), LimitMilliW: ptr(int64(700_000)), Reasons: ptr(uint64(0))})
	}
	in := &Input{
		Profile: "standard", Loop: "closed", Concurrency: 32, Exact: true, OutputTokens: 128, RunNs: 60e9,
		Windows: []Span{{FromNs: 100e9, ToNs: 130e9, Requests: 960, Capped: ptr(int64(960)), OutputTokens: 122_880,
			Energy: []energy.Window{{Domain: card, FromNs: 100e9, ToNs: 130e9, EnergyJ: 18_000, MeanPowerW: 600}}, EnergyJ: ptr(18_000.0)}},
		Headline: []Domain{domain}, GPUs: []string{card}, Devices: []Device{d}, OwnPIDs: []int{4700, 4711},
		Host: &Host{OthersShare: ptr(0.01), ThrottledNs: ptr(int64(0))}, CachedPromptTokens: ptr(int64(0)), RunningMean: ptr(31.0), ClockStepNs: ptr(int64(1000)),
		OutputCounted: true, Conditioned: &Conditioned{PowerKnown: true},
	}
	in.audit(1.001)
	return in
}

// audit replaces the audit by one of that ratio over the window.
func (in *Input) audit(ratio float64) {
	at := func(joules float64) energy.Window {
		return energy.Window{Domain: card, FromNs: in.Windows[0].FromNs, ToNs: in.Windows[0].ToNs, EnergyJ: joules, RandomRel: 0.001}
	}
	r, warnings, err := energy.CrossCheck(at(1000*ratio), at(1000))
	if err != nil {
		panic(err)
	}
	in.Audits = []Audit{{Domain: card, Check: card + "/counter", FromNs: in.Windows[0].FromNs, ToNs: in.Windows[0].ToNs, Ratio: &r, Warnings: warnings}}
}

func (in *Input) length(s float64) { in.Windows[0].ToNs = in.Windows[0].FromNs + int64(s*1e9) }

// lag makes the loop an open one in which requests wait ever longer.
func (in *Input) lag(growth, uncertain float64) {
	in.Loop, in.Windows[0].LagGrowth, in.Windows[0].LagError = "open", &growth, &uncertain
}

func (in *Input) dev() *Device { return &in.Devices[0] }

// eachInWindow changes the readings in the window.
func (in *Input) eachInWindow(change func(i int, r *device.Reading)) {
	i := 0
	for at := range in.dev().Readings {
		if r := &in.dev().Readings[at]; in.Windows[0].holds(*r) {
			change(i, r)
			i++
		}
	}
}

// warm makes the last third of the window warmer.
func (in *Input) warm(by int64) {
	in.eachInWindow(func(i int, r *device.Reading) {
		if i >= 20 {
			*r.TemperatureC += by
		}
	})
}

// state is "passed", "found/SEVERITY", "unknown" or "not applicable".
func state(v Verdict, code string) string {
	switch {
	case slices.Contains(v.Passed, code):
		return "passed"
	case v.Unknown[code] != "":
		return "unknown"
	case slices.Contains(v.NotApplicable, code):
		return "not applicable"
	}
	worst := "missing"
	for _, f := range v.Findings {
		if f.Code == code && (worst == "missing" || rank(f.Severity) > rank(energy.Severity(strings.TrimPrefix(worst, "found/")))) {
			worst = "found/" + string(f.Severity)
		}
	}
	return worst
}

// In a good trial every gate passes, but those that judge something else.
func TestAGoodTrialPasses(t *testing.T) {
	v := Judge(*good())
	if len(v.Findings)+len(v.Found)+len(v.Unknown) != 0 {
		t.Errorf("found %v, unknown %v", v.Findings, v.Unknown)
	}
	if want := []string{"not_cooled", "output_len_capped", "overload"}; !slices.Equal(v.NotApplicable, want) {
		t.Errorf("not applicable are %v, want %v", v.NotApplicable, want)
	}
	count := 0
	for _, g := range Table() {
		if g.Scope != Cell {
			count++
		}
	}
	if len(v.Passed) != count-3 {
		t.Errorf("%d of %d gates passed: %v", len(v.Passed), count, v.Passed)
	}
	if text, err := json.Marshal(v); err != nil || len(text) > 1000 {
		t.Errorf("the verdict takes %d bytes: %s, %v", len(text), text, err)
	}
}

// A cell on CPU has no GPU to be judged.
func TestACellOnCPU(t *testing.T) {
	in := good()
	in.GPUs, in.Devices, in.Audits = nil, nil, nil
	in.Headline[0].Domain = energy.Domain{ID: "rapl/package-0", Kind: energy.KindCPUPackage}
	in.Windows[0].Energy[0].Domain = "rapl/package-0"
	v := Judge(*in)
	if len(v.Findings)+len(v.Unknown) != 0 || len(v.NotApplicable) != 19 {
		t.Errorf("found %v, unknown %v, not applicable %d: %v", v.Findings, v.Unknown, len(v.NotApplicable), v.NotApplicable)
	}
}

// Without input nothing passes.
func TestNothingKnownNothingPassed(t *testing.T) {
	for name, in := range map[string]Input{"cpu": {}, "gpu": {GPUs: []string{card}}, "bare device": {GPUs: []string{card}, Devices: []Device{{Facts: device.Facts{UUID: card}}}}} {
		v := Judge(in)
		if len(v.Passed)+len(v.Findings) != 0 {
			t.Errorf("%s: passed %v, found %v", name, v.Passed, v.Findings)
		}
		if name != "cpu" && len(v.Unknown) < 25 {
			t.Errorf("%s: only %d gates are unknown: %v; not applicable %v", name, len(v.Unknown), v.Unknown, v.NotApplicable)
		}
	}
}

// What other packages found is filed, and not said twice.
func TestEmittedElsewhere(t *testing.T) {
	in := good()
	in.Emitted = []energy.Warning{{Code: "duty_sampled", Severity: energy.SeverityWarning}, {Code: "not_warm", Severity: energy.SeverityWarning}}
	v := Judge(*in)
	if want := []string{"duty_sampled", "not_warm"}; !slices.Equal(v.Found, want) || len(v.Findings) != 0 {
		t.Errorf("found %v with %v", v.Found, v.Findings)
	}
}

// What is found on one GPU does not hide that another cannot be looked at.
func TestFoundAndUnknown(t *testing.T) {
	in := good()
	in.GPUs = []string{card, "GPU-2", "GPU-3"}
	in.dev().Before.Reading.LimitMilliW = ptr(int64(600_000))
	in.Conditioned.Silent = []string{"GPU-2", "GPU-3"}
	in.Emitted = []energy.Warning{{Code: "not_warm", Severity: energy.SeverityWarning}}
	v := Judge(*in)
	for _, code := range []string{"power_limit_nondefault", "not_warm"} {
		if !slices.Contains(v.Found, code) || slices.Contains(v.Passed, code) {
			t.Errorf("found %v, passed %v", v.Found, v.Passed)
		}
		for _, id := range in.GPUs[1:] {
			if !strings.Contains(v.Unknown[code], id) {
				t.Errorf("%s: %q does not name %s", code, v.Unknown[code], id)
			}
		}
	}
}

// The worst of many windows is told once, and worse for the GPU concerned.
func TestTheWorstIsToldOnce(t *testing.T) {
	in := good()
	in.Windows = append(in.Windows, in.Windows[0], in.Windows[0])
	for i, s := range []int64{9, 3, 1} {
		in.Windows[i].ToNs = in.Windows[i].FromNs + s*1e9
	}
	v := Judge(*in)
	if i := slices.Index(v.Found, "window_short"); i < 0 || !v.Fatal() {
		t.Fatalf("found %v", v.Found)
	}
	var said []string
	for _, f := range v.Findings {
		if f.Code == "window_short" {
			said = append(said, f.Message)
		}
	}
	if want := "window 2 lasts 1.00 s; below 2 s nothing can be said"; len(said) != 1 || said[0] != want {
		t.Errorf("said %q", said)
	}
}

func TestStatic(t *testing.T) {
	in := Input{Devices: good().Devices, Headline: good().Headline}
	if v := JudgeStatic(in); len(v.Findings)+len(v.Unknown)+len(v.NotApplicable) != 0 || len(v.Passed) != 8 {
		t.Errorf("%+v", v)
	}
	in.Devices[0].Facts.Persistence = ptr(false)
	in.Devices[0].Before.Reading.LimitMilliW = ptr(int64(500_000))
	in.Devices[0].Facts.MIG = nil
	in.Devices[0].Facts.Absent = map[string]string{"mig": "not supported by this GPU"}
	in.Headline[0].Reading, in.Headline[0].AveragingNs, in.Headline[0].UpdateNs = energy.ReadingInstant, 25e6, 100e6
	bare := in
	bare.Headline = []Domain{{Domain: energy.Domain{ID: card, Kind: energy.KindGPU, Reading: energy.ReadingInstant, UpdateNs: 100e6}}}
	if v := JudgeStatic(bare); v.Unknown["duty_sampled"] == "" {
		t.Errorf("a sensor of unknown aperture: %+v", v)
	}
	v := JudgeStatic(in)
	var advice []string
	for _, f := range v.Findings {
		advice = append(advice, f.Code+": "+f.Advice)
	}
	got := strings.Join(advice, "\n")
	for _, want := range []string{"persistence_off: sudo nvidia-smi -i GPU-1 -pm 1", "power_limit_nondefault: sudo nvidia-smi -i GPU-1 -pl 700", "duty_sampled: "} {
		if !strings.Contains(got, want) {
			t.Errorf("the advice lacks %q:\n%s", want, got)
		}
	}
	if why := v.Unknown["mig_on"]; why != "GPU-1: mig is not known: not supported by this GPU" {
		t.Errorf("unknown: %q", why)
	}
}

// Each row is complete, and its words hold its numbers.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range Table() {
		if seen[g.Code] || g.Code == "" || g.Threshold == "" || g.Needs == "" || g.Advice == "" || strings.Contains(g.Advice, "\n") || len(g.Severities) == 0 || g.Emitter == "" && g.judge == nil {
			t.Errorf("an incomplete row or a second one: %+v", g)
		}
		seen[g.Code] = true
		for _, l := range g.Limits {
			if !slices.Contains(g.Severities, l.Severity) {
				t.Errorf("%s: a limit for %s, which is not among %v", g.Code, l.Severity, g.Severities)
			}
			if !strings.Contains(" "+strings.NewReplacer("(", " ", ")", " ", ";", " ", ",", " ", ":", " ").Replace(g.Threshold)+" ", fmt.Sprintf(" %v ", l.Value)) {
				t.Errorf("%s: %q does not name the limit %v %s", g.Code, g.Threshold, l.Value, l.Unit)
			}
		}
	}
}
