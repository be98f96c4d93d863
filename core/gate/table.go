package gate

import "github.com/llenergymeasure/llem/core/energy"

// Severities of findings, mildest first.
var (
	warning      = []energy.Severity{energy.SeverityWarning}
	fatal        = []energy.Severity{energy.SeverityFatal}
	warningFatal = []energy.Severity{energy.SeverityWarning, energy.SeverityFatal}
	infoWarning  = []energy.Severity{energy.SeverityInfo, energy.SeverityWarning}
)

func warn(value float64, unit string) Limit { return Limit{energy.SeverityWarning, value, unit} }

func fail(value float64, unit string) Limit { return Limit{energy.SeverityFatal, value, unit} }

// Table is every gate. Docs, advice, verdicts and the doctor are made from it.
func Table() []Gate {
	var all []Gate
	for _, part := range [][]Gate{settings(), course(), work(), sensors(), cells()} {
		all = append(all, part...)
	}
	return all
}

// settings are what stands before a trial begins.
func settings() []Gate {
	return []Gate{
		{Code: "persistence_off", Scope: Static, Severities: warning, Threshold: "persistence mode is off",
			Needs: "the GPU's persistence mode", Advice: "sudo nvidia-smi -i {gpu} -pm 1", judge: persistenceOff},
		{Code: "mig_on", Scope: Static, Severities: fatal, Threshold: "the GPU is split (MIG) into other than 1 instance",
			Limits: []Limit{fail(1, "instance")},
			Needs:  "the GPU's MIG mode", Advice: "sudo nvidia-smi -i {gpu} -mig 0, or one instance over the whole card: power is that of all instances", judge: migOn},
		{Code: "vgpu", Scope: Static, Severities: warning, Threshold: "the GPU is a share of a card",
			Needs: "the GPU's virtualisation mode", Advice: "measure on a whole card, on the host or passed through", judge: vgpu},
		{Code: "power_limit_nondefault", Scope: Static, Severities: warning, Threshold: "the enforced power limit is not the card's default",
			Needs: "the GPU's enforced and default limit", Advice: "sudo nvidia-smi -i {gpu} -pl {default_w}, or name the limit beside the result; a limit below the one asked for is the server's", judge: powerLimitNonDefault},
		{Code: "ecc_seen", Scope: Static, Severities: warning, Threshold: "uncorrected memory errors since the driver was loaded: more than 0",
			Limits: []Limit{warn(0, "errors")},
			Needs:  "the GPU's count of uncorrected errors", Advice: "nvidia-smi -q -i {gpu} -d ECC; reset the GPU, and replace it if they come again", judge: eccSeen},
		{Code: "row_remap_pending", Scope: Static, Severities: warning, Threshold: "a damaged row of memory waits to be remapped",
			Needs: "the GPU's remapped rows", Advice: "end all its users, then sudo nvidia-smi -i {gpu} -r", judge: rowRemapPending},
		{Code: energy.CodeModuleScope, Scope: Static, Severities: warning, Threshold: "the headline's sensor covers CPU and memory, too",
			Needs: "the headline's domain", Advice: "compare only with results of the same boundary", Emitter: "core/energy", judge: moduleScope, needs: headlineKnown},
		{Code: energy.CodeDutySampled, Scope: Static, Severities: infoWarning, Threshold: "the headline's sensor looks at less than 100 % of the time; an info with random gaps between passes",
			Limits: []Limit{warn(100, "% of the time")},
			Needs:  "the headline's domain, and of a power sensor its period and aperture", Advice: "use a source that covers all time (ring or counter of nvml), else static batches (load.mode = \"batch\") in windows of 10 passes", Emitter: "core/energy", judge: dutySampled, needs: apertureKnown},
		{Code: energy.CodeEstimated, Scope: Static, Severities: warning, Threshold: "any joule of the headline is modelled",
			Needs: "the headline's domain", Advice: "install a source that measures: llem plugins list; docs/sources.md says how rapl is made readable", Emitter: "core/energy", needs: headlineKnown},
	}
}

// course is what the devices and the machine did.
func course() []Gate {
	return []Gate{
		{Code: "gpu_not_idle_before", Scope: Trial, Severities: warning,
			Threshold: "in 3 s before Load, utilisation above 0 % in 2 looks (one each 0.25 s) after the first idle one or later than 3 s after the trial before; or mean power of the 3 s more than 10 W above idle with the model loaded",
			Limits:    []Limit{warn(0, "%"), warn(2, "looks"), warn(aboveIdleW, "W"), warn(3, "s")},
			Needs:     "utilisation and power before Load, and an idle phase (protocol.idle_s)", Advice: "nvidia-smi shows who uses the GPU; end them", judge: notIdleBefore},
		{Code: "foreign_process", Scope: Trial, Severities: warningFatal,
			Threshold: "a process that is not ours: before Load, or drawing graphics, a warning; computing on a GPU of the headline at the end of the Run fatal; one that comes and goes in between is not seen",
			Needs:     "the GPU's processes before Load and after the Run", Advice: "end it, or name other GPUs: nvidia-smi -i {gpu} lists them", judge: foreignProcess},
		{Code: "thermal_throttle", Scope: Trial, Severities: fatal, Threshold: "heat held the clocks back for more than 1 % of the windows' time",
			Limits: []Limit{fail(mostHeldPct, "% of the windows' time")},
			Needs:  "the GPU's throttle times (NVML fields 269, 270) or clock reasons", Advice: "better cooling, or a lower power limit for all arms; nvidia-smi -q -i {gpu} -d TEMPERATURE,PERFORMANCE", judge: thermalThrottle},
		{Code: "power_brake", Scope: Trial, Severities: fatal, Threshold: "the power brake held the clocks back for more than 0 s",
			Limits: []Limit{fail(0, "s")},
			Needs:  "the GPU's brake time (NVML field 271) or clock reasons", Advice: "the server's power supply asked for it: check its feeds and its power budget", judge: powerBrake},
		{Code: "power_cap_active", Scope: Trial, Severities: infoWarning, Threshold: "the power limit held the clocks back for more than 1 % of the windows' time: at the default limit an info, below it a warning",
			Limits: []Limit{{energy.SeverityInfo, mostHeldPct, "% of the windows' time"}},
			Needs:  "the GPU's cap time (NVML field 74) or clock reasons", Advice: "none at the default limit; else sudo nvidia-smi -i {gpu} -pl {default_w}, or name the limit beside the result", judge: powerCapActive},
		{Code: "power_limit_changed", Scope: Trial, Severities: fatal, Threshold: "two readings of the enforced power limit differ by more than 0 W",
			Limits: []Limit{fail(0, "W")},
			Needs:  "two readings of the GPU's limit", Advice: "keep nvidia-smi -pl and power managers away while a study runs", judge: powerLimitChanged},
		{Code: "ecc_error", Scope: Trial, Severities: fatal, Threshold: "uncorrected memory errors rose by more than 0",
			Limits: []Limit{fail(0, "errors")},
			Needs:  "the GPU's count of uncorrected errors before and after", Advice: "nvidia-smi -q -i {gpu} -d ECC; reset the GPU, and replace it if they come again", judge: eccError},
		{Code: "clocks_moved", Scope: Window, Severities: infoWarning, Threshold: "the SM clock's coefficient of variation is above 3 %, an info if the power limit held it all the time; or the memory clock changed",
			Limits: []Limit{warn(mostClockCVPct, "%")},
			Needs:  "three readings of the clocks in each window", Advice: "condition for longer (protocol.conditioning_s), or fix them: sudo nvidia-smi -i {gpu} -lgc MHZ", judge: clocksMoved},
		{Code: "temp_drift", Scope: Window, Severities: warningFatal, Threshold: "the temperature rose or fell by more than 3 °C from the first to the last third of a window; 5 % of the Run's readings outside 20 to 95 °C are fatal",
			Limits: []Limit{warn(mostDriftC, "°C"), fail(coldestC, "°C"), fail(hottestC, "°C"), fail(badReadingsPct, "% of readings")},
			Needs:  "three readings of the temperature in each window", Advice: "condition for longer: protocol.conditioning_s", judge: tempDrift},
		{Code: "not_warm", Scope: Trial, Severities: warning, Threshold: "fewer than 3 passes, pass times (CV 2 %), power (1 % in 30 s) or temperature (1 °C) had not settled when conditioning reached its cap",
			Limits: []Limit{warn(3, "passes"), warn(2, "% CV of pass times"), warn(1, "% of power in 30 s"), warn(1, "°C")},
			Needs:  "conditioning that sees the headline's power and the temperature of every GPU", Advice: "raise protocol.conditioning_s", Emitter: "core/measure", needs: conditioned},
		{Code: "not_cooled", Scope: Trial, Severities: warning, Threshold: "in the cooldown regime, a GPU that is more than 1 °C warmer at the Run than before its Load",
			Limits: []Limit{warn(mostRiseC, "°C")},
			Needs:  "the GPU's temperature before Load and after the cooldown", Advice: "raise protocol.cooldown_s", judge: notCooled},
		{Code: "clock_step", Scope: Trial, Severities: warning, Threshold: "the wall clock moved against the monotonic one by more than 1 ms",
			Limits: []Limit{warn(mostClockStepMs, "ms")},
			Needs:  "a pair of clock reads before and after", Advice: "let chrony or systemd-timesyncd finish before a study; do not set the clock by hand", judge: clockStep},
		{Code: "host_busy", Scope: Trial, Severities: warning, Threshold: "others took more than 5 % of all CPU time during the Run, or a CPU quota held our processes back for more than 1 % of it",
			Limits: []Limit{warn(mostOthersPct, "% of all CPU time"), warn(mostThrottledPct, "% of the Run")},
			Needs:  "/proc/stat and /proc/PID/stat", Advice: "end other work (top shows it); in a container raise the CPU quota", judge: hostBusy},
	}
}

// work is whether the window holds what was asked for.
func work() []Gate {
	return []Gate{
		{Code: "window_short", Scope: Window, Severities: warningFatal, Threshold: "below 10 s a warning; below 2 s or 20 updates of a headline sensor fatal",
			Limits: []Limit{warn(shortWindowS, "s"), fail(leastWindowS, "s"), fail(leastPeriods, "updates")},
			Needs:  "a window and the sensor's period", Advice: "raise protocol.window_s", judge: windowShort},
		{Code: "window_below_profile", Scope: Window, Severities: warning, Threshold: "below 30 s (standard) or 60 s (publication)",
			Limits: []Limit{warn(standardWindowS, "s"), warn(publicationS, "s")},
			Needs:  "a window", Advice: "leave protocol.window_s to the profile, or name another profile", judge: windowBelowProfile},
		{Code: "no_output", Scope: Window, Severities: fatal, Threshold: "0 output tokens",
			Limits: []Limit{fail(0, "tokens")},
			Needs:  "a window", Advice: "the backend's log.txt says what it did", judge: noOutput},
		{Code: "requests_failed", Scope: Window, Severities: fatal, Threshold: "more than 0 requests failed",
			Limits: []Limit{fail(0, "requests")},
			Needs:  "a window", Advice: "requests.parquet holds each one's error", judge: requestsFailed},
		{Code: "requests_broken_off", Scope: Window, Severities: fatal, Threshold: "more than 0 requests were broken off",
			Limits: []Limit{fail(0, "requests")},
			Needs:  "a window", Advice: "the backend's log.txt says what ended them", judge: requestsBrokenOff},
		{Code: "output_len_capped", Scope: Window, Severities: warning, Threshold: "30 % of requests of natural length ended at the most tokens allowed",
			Limits: []Limit{warn(cappedPct, "% of requests")},
			Needs:  "finish reasons", Advice: "raise workload.output_tokens", judge: outputLenCapped},
		{Code: "token_count_mismatch", Scope: Window, Severities: fatal, Threshold: "more than 0 requests of exact length have another one",
			Limits: []Limit{fail(0, "requests")},
			Needs:  "a window", Advice: "the backend must ignore the end-of-sequence token; if it cannot, workload.lengths = \"natural\"", judge: tokenCountMismatch},
		{Code: "work_mismatch", Scope: Window, Severities: fatal, Threshold: "tokens stamped in the window differ from its requests' by more than 1 %",
			Limits: []Limit{fail(mostMismatchPct, "%")},
			Needs:  "a window", Advice: "a longer protocol.window_s makes the requests at the edges weigh less", judge: workMismatch},
		{Code: "overload", Scope: Window, Severities: warningFatal, Threshold: "the requests of an open loop took ever longer from arrival to end: by more than 2 % (warning) or 5 % (fatal) of the time between the first and the last third of a window's arrivals, and by more than 3 standard errors",
			Limits: []Limit{warn(lagPct, "% of the time"), fail(lagFatalPct, "% of the time")},
			Needs:  "six requests that arrived in a window", Advice: "lower load.rate below what the engine can do, which a closed loop shows; near it, raise protocol.conditioning_s", judge: overload},
		{Code: "counters_mismatch", Scope: Trial, Severities: warning, Threshold: "the engine's own count of output tokens differs from the completions' by more than 0",
			Limits: []Limit{warn(0, "tokens")},
			Needs:  "the backend's counter output_tokens before and after the Run", Advice: "another client may use the engine; else the backend counts wrong", Emitter: "core/measure", needs: outputCounted},
		{Code: "batch_not_reached", Scope: Trial, Severities: warning, Threshold: "a closed loop's engine worked on less than 80 % of load.concurrency at a time",
			Limits: []Limit{warn(leastBatchPct, "% of load.concurrency")},
			Needs:  "the backend's counter running_mean", Advice: "raise the engine's batch or cache limits, or lower load.concurrency", judge: batchNotReached},
		{Code: "prefix_cache_hit", Scope: Trial, Severities: warning, Threshold: "more than 0 prompt tokens came from the engine's cache although none were shared on purpose",
			Limits: []Limit{warn(0, "tokens")},
			Needs:  "the backend's counter cached_prompt_tokens", Advice: "turn prefix caching off in the backend's parameters", judge: prefixCacheHit},
	}
}

// sensors is whether the joules can be true.
func sensors() []Gate {
	return []Gate{
		{Code: energy.CodeZeroOrBackwards, Scope: Window, Severities: fatal, Threshold: "0 J or less, or a counter that fell",
			Limits: []Limit{fail(0, "J")},
			Needs:  "the joules of every headline domain in every window", Advice: "the driver was loaded anew or the sensor is stuck: turn persistence on and measure again", Emitter: "core/energy", needs: joulesKnown},
		{Code: energy.CodeCounterVsPower, Scope: Window, Severities: warningFatal,
			Threshold: "two readings of one device differ by more than 5 % (warning) or 15 % (fatal); below 10 s, or where edges, gaps and time not looked at leave 2 % or more open (too_blunt), also by more than three times of that; never within what a sensor that looks at part of the time may be off by",
			Limits:    []Limit{warn(auditPct, "%"), fail(auditFatalPct, "%")},
			Needs:     "a second reading of the headline's devices that leaves less than 2 % open over the Run and over each window", Advice: "trial.json, audit, holds both; one of them misses time or counts another scope: attach the trial's directory to a bug report", judge: counterVsPower},
		{Code: energy.CodeNegativePower, Scope: Window, Severities: fatal, Threshold: "a sample below 0 W",
			Limits: []Limit{fail(0, "W")},
			Needs:  "a power sensor, and its joules in every window", Advice: "the sensor is broken or its unit is misread: attach the trial's directory to a bug report", Emitter: "core/energy", needs: powerSampled},
		{Code: "implausible_power", Scope: Window, Severities: warningFatal,
			Threshold: "mean power above 1.1 times the limit a warning, above 1.7 fatal; below 0.1 of it under load, or more than 100 J an output token, a warning",
			Limits:    []Limit{warn(mostOfLimit, "of the limit"), fail(absurdOfLimit, "of the limit"), warn(leastOfLimit, "of the limit"), warn(mostJPerToken, "J/token")},
			Needs:     "the GPU's power limit", Advice: "compare with nvidia-smi -i {gpu} -q -d POWER while the load runs; a wrong unit or scope shows there", judge: implausiblePower},
		{Code: energy.CodeSampleGap, Scope: Window, Severities: warning, Threshold: "more than 3 periods without a sample; in a domain beside the headline a note",
			Limits: []Limit{warn(3, "periods")},
			Needs:  "the sensor's period, and its joules in every window", Advice: "the reader came too late: see host_busy", Emitter: "core/energy", needs: periodKnown},
		{Code: energy.CodeLowCoverage, Scope: Window, Severities: warningFatal, Threshold: "samples cover less than 95 % (warning) or 75 % (fatal) of a window; in a domain beside the headline a note",
			Limits: []Limit{warn(95, "% of the window"), fail(75, "% of the window")},
			Needs:  "the joules of every headline domain in every window", Advice: "the reader came too late or the source stopped: see host_busy and log.txt", Emitter: "core/energy", needs: joulesKnown},
	}
}

// cells are judged over the trials of a cell, in the summary.
func cells() []Gate {
	return []Gate{
		{Code: "cv_high", Scope: Cell, Severities: warning, Threshold: "the coefficient of variation over loads is above 5 %",
			Limits: []Limit{warn(5, "%")},
			Needs:  "two loads", Advice: "look for what differs between the loads (other warnings, drift, outliers); more protocol.cycles narrow the interval", Emitter: "core/stats"},
		{Code: "single_cycle", Scope: Cell, Severities: warning, Threshold: "1 load: no interval",
			Limits: []Limit{warn(1, "load")},
			Needs:  "an estimate", Advice: "protocol.cycles = 5, three at least", Emitter: "core/stats"},
		{Code: "single_load", Scope: Cell, Severities: warning, Threshold: "the windows of 1 load stand in for loads: not ranked",
			Limits: []Limit{warn(1, "load")},
			Needs:  "an estimate", Advice: "protocol.order = \"randomised\"", Emitter: "core/stats"},
		{Code: "drift", Scope: Cell, Severities: warning, Threshold: "Mann-Kendall p below 0.05 and a trend of more than 1 % over the loads",
			Limits: []Limit{warn(0.05, "p"), warn(1, "%")},
			Needs:  "loads", Advice: "condition for longer; look at temperatures and clocks", Emitter: "core/stats"},
		{Code: "outlier", Scope: Cell, Severities: warning, Threshold: "a load's modified z is above 3.5; it is kept, and the message says whether Grubbs' test agrees: chance alone flags one in every fifth cell of five loads",
			Limits: []Limit{warn(3.5, "modified z")},
			Needs:  "five loads", Advice: "look at that trial's warnings", Emitter: "core/stats"},
		{Code: "clocks_differ", Scope: Cell, Severities: warning, Threshold: "mean SM clocks of two compared cells differ by more than 2 %",
			Limits: []Limit{warn(2, "%")},
			Needs:  "readings of the clocks in the windows", Advice: "part of the difference is the clock's: lock it (nvidia-smi -lgc), or take it as part of the result", Emitter: "core/report"},
		{Code: "power_limits_differ", Scope: Cell, Severities: warning, Threshold: "power limits of two compared cells differ by more than 0.5 W",
			Limits: []Limit{warn(0.5, "W")},
			Needs:  "the GPU's limit before Load", Advice: "measure compared cells under one power limit (nvidia-smi -pl)", Emitter: "core/report"},
		{Code: "start_temperature_spread", Scope: Cell, Severities: warning, Threshold: "compared loads began more than 5 °C apart",
			Limits: []Limit{warn(5, "°C")},
			Needs:  "the GPU's temperature before Load", Advice: "a longer protocol.conditioning_s makes them alike before the window", Emitter: "core/report"},
	}
}
