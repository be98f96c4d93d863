package gate

import (
	"math"
	"testing"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
)

// Each gate speaks from its threshold on, is quiet just below, and is unknown
// without its input.
func TestEachGate(t *testing.T) {
	const quiet, info, warning, fatal, unknown, no = "passed", "found/info", "found/warning", "found/fatal", "unknown", "not applicable"
	cases := []struct {
		code, want string
		change     func(*Input)
	}{
		{"window_short", fatal, func(in *Input) { in.length(1.99) }},
		{"window_short", warning, func(in *Input) { in.length(2) }},
		{"window_short", warning, func(in *Input) { in.length(9.99) }},
		{"window_short", quiet, func(in *Input) { in.length(10) }},
		{"window_short", fatal, func(in *Input) { in.Headline[0].PeriodNs = 1.51e9 }},
		{"window_short", quiet, func(in *Input) { in.Headline[0].PeriodNs = 1.5e9 }},
		{"window_short", unknown, func(in *Input) { in.Headline[0].PeriodNs = 0 }},
		{"window_short", unknown, func(in *Input) { in.Headline = nil }},
		{"window_below_profile", warning, func(in *Input) { in.length(29.99) }},
		{"window_below_profile", quiet, func(in *Input) { in.length(30) }},
		{"window_below_profile", warning, func(in *Input) { in.Profile = "publication"; in.length(59.9) }},
		{"window_below_profile", quiet, func(in *Input) { in.Profile = "publication"; in.length(60) }},
		{"window_below_profile", no, func(in *Input) { in.Profile = "quick"; in.length(1) }},
		{"window_below_profile", unknown, func(in *Input) { in.Windows = nil }},
		{"requests_failed", fatal, func(in *Input) { in.Windows[0].Failed = 1 }},
		{"requests_failed", unknown, func(in *Input) { in.Windows = nil }},
		{"requests_broken_off", fatal, func(in *Input) { in.Windows[0].Aborted = 1 }},
		{"no_output", fatal, func(in *Input) { in.Windows[0].OutputTokens = 0 }},
		{"no_output", quiet, func(in *Input) { in.Windows[0].OutputTokens = 1 }},
		{"output_len_capped", warning, func(in *Input) { in.Exact, in.Windows[0].Capped = false, ptr(int64(288)) }},
		{"output_len_capped", quiet, func(in *Input) { in.Exact, in.Windows[0].Capped = false, ptr(int64(287)) }},
		{"output_len_capped", unknown, func(in *Input) { in.Exact, in.Windows[0].Capped = false, nil }},
		{"token_count_mismatch", fatal, func(in *Input) { in.Windows[0].OtherLengths = 1 }},
		{"token_count_mismatch", no, func(in *Input) { in.Exact, in.Windows[0].OtherLengths = false, 1 }},
		{"work_mismatch", fatal, func(in *Input) { in.Windows[0].PromptOff = -0.0101 }},
		{"work_mismatch", fatal, func(in *Input) { in.Windows[0].OutputOff = math.NaN() }},
		{"work_mismatch", quiet, func(in *Input) { in.Windows[0].OutputOff = 0.0099 }},
		{"overload", warning, func(in *Input) { in.lag(0.0201, 0.0066) }},
		{"overload", quiet, func(in *Input) { in.lag(0.0199, 0) }},
		{"overload", quiet, func(in *Input) { in.lag(0.0201, 0.0068) }},
		{"overload", fatal, func(in *Input) { in.lag(0.0501, 0.01) }},
		{"overload", quiet, func(in *Input) { in.lag(-0.2, 0) }},
		{"overload", unknown, func(in *Input) { in.Loop = "open" }},
		{"overload", no, func(in *Input) { in.lag(1, 0); in.Loop = "closed" }},
		{"batch_not_reached", warning, func(in *Input) { in.RunningMean = ptr(25.5) }},
		{"batch_not_reached", quiet, func(in *Input) { in.RunningMean = ptr(25.6) }},
		{"batch_not_reached", unknown, func(in *Input) { in.RunningMean = nil }},
		{"batch_not_reached", no, func(in *Input) { in.Loop, in.RunningMean = "batch", ptr(1.0) }},
		{"prefix_cache_hit", warning, func(in *Input) { in.CachedPromptTokens = ptr(int64(1)) }},
		{"prefix_cache_hit", unknown, func(in *Input) { in.CachedPromptTokens = nil }},
		{"prefix_cache_hit", no, func(in *Input) { in.SharedPrefix, in.CachedPromptTokens = true, ptr(int64(1)) }},

		{"counter_vs_power", warning, func(in *Input) { in.audit(1.051) }},
		{"counter_vs_power", quiet, func(in *Input) { in.audit(0.951) }},
		{"counter_vs_power", fatal, func(in *Input) { in.audit(0.849) }},
		{"counter_vs_power", warning, func(in *Input) { in.audit(1.149) }},
		{"counter_vs_power", unknown, func(in *Input) { in.Audits[0].Ratio, in.Audits[0].Reason = nil, "no samples" }},
		{"counter_vs_power", unknown, func(in *Input) { in.Audits = nil }},
		{"counter_vs_power", unknown, func(in *Input) { in.Audits[0].RandomRel = 0.02 }},
		{"counter_vs_power", unknown, func(in *Input) { in.Audits[0].RandomRel = math.NaN() }},
		{"counter_vs_power", quiet, func(in *Input) { in.Audits[0].RandomRel = 0.0199 }},
		{"counter_vs_power", unknown, func(in *Input) { // a sharp Run says nothing of a window
			in.Audits = append(in.Audits, in.Audits[0])
			in.Audits[1].RandomRel, in.Audits[1].Ratio = 0.136, ptr(0.7)
		}},

		{"counters_mismatch", unknown, func(in *Input) { in.OutputCounted = false }},
		{"not_warm", unknown, func(in *Input) { in.Conditioned = nil }},
		{"not_warm", unknown, func(in *Input) { in.Conditioned.PowerKnown = false }},
		{"not_warm", unknown, func(in *Input) { in.Conditioned.Silent = []string{card} }},
		{"not_warm", no, func(in *Input) { in.Conditioned, in.Cooldown = nil, &Cooldown{} }},
		{"not_cooled", warning, func(in *Input) { in.Cooldown = &Cooldown{StartC: ptr(40.0), EndC: ptr(42.0)} }},
		{"not_cooled", quiet, func(in *Input) { in.Cooldown = &Cooldown{StartC: ptr(40.0), EndC: ptr(41.0)} }},
		{"not_cooled", unknown, func(in *Input) { in.Cooldown = &Cooldown{} }},
		{"not_cooled", unknown, func(in *Input) {
			in.Cooldown = &Cooldown{StartC: ptr(40.0), EndC: ptr(41.0), Silent: []string{"GPU-2"}}
		}},
		{"module_scope", unknown, func(in *Input) { in.Headline = nil }},
		{"estimated_source", unknown, func(in *Input) { in.Headline = nil }},
		{"duty_sampled", unknown, func(in *Input) { in.Headline = nil }},
		{"duty_sampled", unknown, func(in *Input) { in.Headline[0].Reading = energy.ReadingInstant }},
		{"duty_sampled", quiet, func(in *Input) {
			in.Headline[0].Reading, in.Headline[0].AveragingNs = energy.ReadingInstant, 20e6
		}},
		{"energy_zero_or_backwards", unknown, func(in *Input) { in.Windows[0].Energy = nil }},
		{"energy_zero_or_backwards", unknown, func(in *Input) { // in the second window
			in.Windows = append(in.Windows, in.Windows[0])
			in.Windows[1].Energy = nil
		}},
		{"negative_power", unknown, func(in *Input) { in.Windows[0].Energy = nil }},
		{"negative_power", no, func(in *Input) { in.Headline[0].Reading = energy.ReadingCounter }},
		{"sample_gap", unknown, func(in *Input) { in.Windows[0].Energy = nil }},
		{"sample_gap", unknown, func(in *Input) { in.Headline[0].PeriodNs = 0 }},
		{"low_coverage", unknown, func(in *Input) { in.Windows[0].Energy = nil }},
		{"low_coverage", unknown, func(in *Input) { in.Windows = nil }},

		{"implausible_power", warning, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 771 }},
		{"implausible_power", quiet, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 769 }},
		{"implausible_power", warning, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 1189 }},
		{"implausible_power", fatal, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 1191 }},
		{"implausible_power", fatal, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = math.NaN() }},
		{"implausible_power", warning, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 69 }},
		{"implausible_power", quiet, func(in *Input) { in.Windows[0].Energy[0].MeanPowerW = 71 }},
		{"implausible_power", warning, func(in *Input) { in.Windows[0].OutputTokens = 179 }},
		{"implausible_power", quiet, func(in *Input) { in.Windows[0].OutputTokens = 181 }},
		{"implausible_power", unknown, func(in *Input) {
			in.dev().Before, in.dev().After, in.dev().Readings = nil, nil, nil
		}},
		{"clock_step", warning, func(in *Input) { in.ClockStepNs = ptr(int64(-1.01e6)) }},
		{"clock_step", quiet, func(in *Input) { in.ClockStepNs = ptr(int64(0.99e6)) }},
		{"clock_step", unknown, func(in *Input) { in.ClockStepNs = nil }},
		{"host_busy", warning, func(in *Input) { in.Host.OthersShare = ptr(0.051) }},
		{"host_busy", quiet, func(in *Input) { in.Host.OthersShare = ptr(0.049) }},
		{"host_busy", warning, func(in *Input) { in.Host.ThrottledNs = ptr(int64(0.61e9)) }},
		{"host_busy", quiet, func(in *Input) { in.Host.ThrottledNs = ptr(int64(0.59e9)) }},
		{"host_busy", quiet, func(in *Input) { in.Host.ThrottledNs = nil }},
		{"host_busy", unknown, func(in *Input) { in.Host.OthersShare, in.Host.Absent = nil, "/proc is hidden" }},
		{"host_busy", unknown, func(in *Input) { in.Host = nil }},

		{"thermal_throttle", fatal, func(in *Input) { *in.dev().After.SWThermalNs += 0.2e9; *in.dev().After.HWThermalNs += 0.11e9 }},
		{"thermal_throttle", quiet, func(in *Input) { *in.dev().After.HWThermalNs += 0.29e9 }},
		{"thermal_throttle", unknown, func(in *Input) { *in.dev().After.SWThermalNs = 0; in.dev().Readings = nil }},
		{"thermal_throttle", fatal, func(in *Input) { // by the bits, where the driver does not count
			in.dev().After.HWThermalNs = nil
			in.eachInWindow(func(i int, r *device.Reading) {
				if i == 3 {
					r.Reasons = ptr(uint64(0x40))
				}
			})
		}},
		{"thermal_throttle", unknown, func(in *Input) {
			in.dev().Before.SWThermalNs = nil
			in.eachInWindow(func(_ int, r *device.Reading) { r.Reasons = ptr(uint64(0x4 | 0x8)) })
		}},
		{"power_brake", fatal, func(in *Input) { *in.dev().After.PowerBrakeNs++ }},
		{"power_brake", unknown, func(in *Input) { in.dev().After = nil; in.dev().Readings = nil }},
		{"power_cap_active", info, func(in *Input) { *in.dev().After.PowerCapNs += 0.31e9 }},
		{"power_cap_active", quiet, func(in *Input) { *in.dev().After.PowerCapNs += 0.29e9 }},
		{"power_cap_active", warning, func(in *Input) {
			*in.dev().After.PowerCapNs += 20e9
			in.dev().Facts.DefaultLimitMilliW = ptr(int64(700_001))
		}},
		{"power_cap_active", warning, func(in *Input) { *in.dev().After.PowerCapNs += 20e9; in.dev().Facts.DefaultLimitMilliW = nil }},
		{"power_cap_active", unknown, func(in *Input) { in.Devices = nil }},
		{"power_limit_changed", fatal, func(in *Input) { *in.dev().Readings[30].LimitMilliW -= 1 }},
		{"power_limit_changed", unknown, func(in *Input) { in.dev().Readings, in.dev().After = nil, nil }},
		{"power_limit_nondefault", warning, func(in *Input) { *in.dev().Before.Reading.LimitMilliW++ }},
		{"power_limit_nondefault", unknown, func(in *Input) { in.dev().Facts.DefaultLimitMilliW = nil }},
		{"clocks_moved", warning, func(in *Input) {
			in.eachInWindow(func(i int, r *device.Reading) { *r.SMClockMHz -= int64(i%2) * 119 }) // CV 3.1 %
		}},
		{"clocks_moved", quiet, func(in *Input) {
			in.eachInWindow(func(i int, r *device.Reading) { *r.SMClockMHz -= int64(i%2) * 112 }) // CV 2.9 %
		}},
		{"clocks_moved", info, func(in *Input) {
			in.eachInWindow(func(i int, r *device.Reading) { *r.SMClockMHz -= int64(i%2) * 500; r.Reasons = ptr(uint64(4)) })
		}},
		{"clocks_moved", warning, func(in *Input) { // once it was not the limit
			in.eachInWindow(func(i int, r *device.Reading) {
				*r.SMClockMHz -= int64(i%2) * 500
				r.Reasons = ptr(uint64(min(i, 1) * 4))
			})
		}},
		{"clocks_moved", quiet, func(in *Input) { *in.dev().Readings[0].SMClockMHz, *in.dev().Readings[1].MemoryClockMHz = 200, 400 }}, // before the window
		{"clocks_moved", warning, func(in *Input) { *in.dev().Readings[45].MemoryClockMHz-- }},
		{"clocks_moved", unknown, func(in *Input) { in.dev().Readings = in.dev().Readings[:32] }},
		{"clocks_moved", unknown, func(in *Input) {
			for i := range in.dev().Readings {
				in.dev().Readings[i].MemoryClockMHz = nil
			}
		}},
		{"temp_drift", warning, func(in *Input) { in.warm(4) }},
		{"temp_drift", warning, func(in *Input) { in.warm(-4) }},
		{"temp_drift", quiet, func(in *Input) { in.warm(3) }},
		{"temp_drift", quiet, func(in *Input) { // it follows the phases of the load: measured on an H100
			in.length(11)
			swing := []int64{53, 59, 60, 55, 55, 58, 57, 58, 56, 56, 62, 64}
			in.eachInWindow(func(i int, r *device.Reading) { *r.TemperatureC = swing[i%len(swing)] })
		}},
		{"temp_drift", quiet, func(in *Input) { *in.dev().Readings[3].TemperatureC = 30 }},
		{"temp_drift", fatal, func(in *Input) {
			for i := range 4 { // of 61: 6.6 %
				*in.dev().Readings[i].TemperatureC = 96
			}
		}},
		{"temp_drift", quiet, func(in *Input) {
			for i := range 3 { // 4.9 %
				*in.dev().Readings[i].TemperatureC = 19
			}
		}},
		{"temp_drift", unknown, func(in *Input) { in.eachInWindow(func(_ int, r *device.Reading) { r.TemperatureC = nil }) }},
		{"gpu_not_idle_before", warning, func(in *Input) { *in.dev().Before.Reading.UtilisationPct = 1 }},
		{"gpu_not_idle_before", warning, func(in *Input) { *in.dev().PowerBeforeW = 140.1 }},
		{"gpu_not_idle_before", quiet, func(in *Input) { *in.dev().PowerBeforeW = 139.9 }},
		{"gpu_not_idle_before", unknown, func(in *Input) { in.dev().ContextIdleW = nil }},
		{"gpu_not_idle_before", unknown, func(in *Input) { in.dev().Before.Reading.UtilisationPct = nil }},
		{"foreign_process", warning, func(in *Input) { in.dev().Before.Processes = []device.Process{{PID: 9, Kind: "compute"}} }},
		{"foreign_process", quiet, func(in *Input) { in.dev().Before.Processes = []device.Process{{PID: 4711, Kind: "compute"}} }}, // attached to
		{"foreign_process", warning, func(in *Input) {
			in.dev().Before.Processes = []device.Process{{PID: 4711, Kind: "compute"}, {PID: 9, Kind: "compute"}}
		}},
		{"foreign_process", fatal, func(in *Input) {
			in.dev().After.Processes = append(in.dev().After.Processes, device.Process{PID: 9, Kind: "mps"})
		}},
		{"foreign_process", quiet, func(in *Input) {
			in.dev().After.Processes = append(in.dev().After.Processes, device.Process{PID: 4700, Kind: "compute"})
		}},
		{"foreign_process", warning, func(in *Input) {
			in.dev().After.Processes = append(in.dev().After.Processes, device.Process{PID: 9, Kind: "graphics"})
		}},
		{"foreign_process", quiet, func(in *Input) { in.OwnPIDs = []int{17} }}, // a container: the one process must be ours
		{"foreign_process", warning, func(in *Input) {
			in.OwnPIDs = []int{17}
			in.dev().After.Processes = append(in.dev().After.Processes, device.Process{PID: 9, Kind: "compute"})
		}},
		{"foreign_process", unknown, func(in *Input) { in.dev().After.Processes = []device.Process{} }},
		{"foreign_process", unknown, func(in *Input) { in.dev().After.Processes = nil }},

		{"persistence_off", warning, func(in *Input) { *in.dev().Facts.Persistence = false }},
		{"persistence_off", unknown, func(in *Input) { in.dev().Facts.Persistence = nil }},
		{"mig_on", fatal, func(in *Input) { *in.dev().Facts.MIG, in.dev().Facts.MIGInstances = true, ptr(2) }},
		{"mig_on", quiet, func(in *Input) { *in.dev().Facts.MIG, in.dev().Facts.MIGInstances = true, ptr(1) }},
		{"mig_on", fatal, func(in *Input) { *in.dev().Facts.MIG = true }},
		{"mig_on", unknown, func(in *Input) { in.dev().Facts.MIG = nil }},
		{"vgpu", warning, func(in *Input) { *in.dev().Facts.Virtual = true }},
		{"vgpu", unknown, func(in *Input) { in.dev().Facts.Virtual = nil }},
		{"ecc_error", fatal, func(in *Input) { *in.dev().After.ECCUncorrected = 1 }},
		{"ecc_error", quiet, func(in *Input) { *in.dev().Before.ECCUncorrected, *in.dev().After.ECCUncorrected = 1, 1 }},
		{"ecc_error", unknown, func(in *Input) { *in.dev().Before.ECCUncorrected = 1 }},
		{"ecc_error", no, func(in *Input) { *in.dev().Facts.ECC = false }},
		{"ecc_seen", warning, func(in *Input) { *in.dev().Before.ECCUncorrected = 1 }},
		{"ecc_seen", unknown, func(in *Input) { in.dev().Before.ECCUncorrected = nil }},
		{"row_remap_pending", warning, func(in *Input) { *in.dev().After.RowRemapPending = true }},
		{"row_remap_pending", unknown, func(in *Input) { in.dev().Before = nil }},
	}
	speaks, keeps := map[string]bool{}, map[string]bool{}
	for _, g := range Table() { // in the good trial all are quiet
		keeps[g.Code] = g.Code != "output_len_capped" && g.Code != "not_cooled"
	}
	for i, c := range cases {
		in := good()
		c.change(in)
		v := Judge(*in)
		if got := state(v, c.code); got != c.want {
			t.Errorf("case %d, %s: %s, want %s: %+v %v", i, c.code, got, c.want, v.Findings, v.Unknown[c.code])
		}
		for _, f := range v.Findings {
			if f.Code == c.code && (f.Message == "" || f.Advice == "") {
				t.Errorf("case %d: %+v", i, f)
			}
		}
		speaks[c.code] = speaks[c.code] || c.want != quiet && c.want != unknown && c.want != no
		keeps[c.code] = keeps[c.code] || c.want == quiet
	}
	for _, g := range Table() {
		if g.Emitter != "" && g.Scope != Cell && g.needs == nil {
			t.Errorf("%s does not say what it needs", g.Code)
		}
		if g.Emitter == "" && !(speaks[g.Code] && keeps[g.Code]) {
			t.Errorf("%s lacks a case that triggers it or one just below", g.Code)
		}
	}
}
