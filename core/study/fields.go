package study

import "slices"

// field describes one key of a file: how it is read, checked and documented.
type field[T any] struct {
	key string
	// at returns a pointer to where the value goes: *string, *int, *int64,
	// *float64, *bool or *[]string.
	at   func(*T) any
	enum []string
	// min and max are inclusive; above is an exclusive lower bound.
	min, max, above *float64
	required        bool
	// fixed keys cannot be swept: they are about the execution.
	fixed bool
	// unused says why this version does not act on the key; a study that sets
	// it is refused, since nothing may be ignored.
	unused string
	doc    string
}

func bound(v float64) *float64 { return &v }

var (
	zero     = bound(0)
	one      = bound(1)
	million  = bound(1e6)
	day      = bound(86400)
	notYet   = "this version does not act on it"
	profiles = map[string]Protocol{
		"quick":       {IdleS: 1, ConditioningS: 3, WindowS: 5},
		"standard":    {IdleS: 10, ConditioningS: 60, WindowS: 30},
		"publication": {IdleS: 30, ConditioningS: 60, WindowS: 60},
	}
)

// studyFields is the table of all keys outside [backends], [sources], [sweep]
// and [experiments].
var studyFields = slices.Concat(mainFields, sloFields)

var mainFields = []field[Study]{
	{key: "name", at: func(s *Study) any { return &s.Name }, required: true, fixed: true, doc: "Name of the study; part of the result directory's name."},
	{key: "backend", at: func(s *Study) any { return &s.Backend }, doc: "Instance under [backends], or name of a plugin. May be swept."},
	{key: "energy", at: func(s *Study) any { return &s.Energy }, fixed: true, doc: `Energy sources: "auto", "nvml", plugins, or instances under [sources].`},

	{key: "model.id", at: func(s *Study) any { return &s.Model.ID }, doc: "Hub id, or a name that the backend knows."},
	{key: "model.revision", at: func(s *Study) any { return &s.Model.Revision }, doc: "Hub revision."},
	{key: "model.path", at: func(s *Study) any { return &s.Model.Path }, doc: "Local file or directory."},
	{key: "model.weights", at: func(s *Study) any { return &s.Model.Weights }, enum: []string{"auto", "dummy"}, doc: "dummy = random weights in the model's architecture."},

	{key: "workload.dataset", at: func(s *Study) any { return &s.Workload.Dataset }, enum: []string{"synthetic"}, doc: "Where prompts come from. This version has synthetic ones."},
	{key: "workload.requests", at: func(s *Study) any { return &s.Workload.Requests }, min: one, max: million, doc: "Requests in one pass."},
	{key: "workload.input_tokens", at: func(s *Study) any { return &s.Workload.InputTokens }, min: one, max: million, doc: "Prompt length in tokens."},
	{key: "workload.output_tokens", at: func(s *Study) any { return &s.Workload.OutputTokens }, min: one, max: million, doc: "Output length in tokens."},
	{key: "workload.seed", at: func(s *Study) any { return &s.Workload.Seed }, doc: "Seed of prompts and of the order of trials."},
	{key: "workload.lengths", at: func(s *Study) any { return &s.Workload.Lengths }, enum: []string{"exact", "natural"}, doc: "exact = end-of-sequence is ignored."},
	{key: "workload.shared_prefix_tokens", at: func(s *Study) any { return &s.Workload.SharedPrefixTokens }, min: zero, max: million, doc: "Tokens that all prompts begin with."},
	{key: "workload.sampling.temperature", at: func(s *Study) any { return &s.Workload.Sampling.Temperature }, min: zero, max: bound(10), doc: "0 = greedy."},
	{key: "workload.sampling.top_p", at: func(s *Study) any { return &s.Workload.Sampling.TopP }, min: zero, max: one, doc: "0 = off."},
	{key: "workload.sampling.top_k", at: func(s *Study) any { return &s.Workload.Sampling.TopK }, min: zero, max: million, doc: "0 = off."},

	{key: "load.mode", at: func(s *Study) any { return &s.Load.Mode }, enum: []string{"batch", "closed", "constant", "poisson", "gamma"}, doc: "batch: whole passes; closed: `concurrency` in flight; constant, poisson, gamma: requests arrive at `rate`, whatever is in flight."},
	{key: "load.concurrency", at: func(s *Study) any { return &s.Load.Concurrency }, min: one, max: bound(65536), doc: "Requests in flight (closed)."},
	{key: "load.rate", at: func(s *Study) any { return &s.Load.Rate }, above: zero, max: million, doc: "Arrivals per second (constant, poisson, gamma)."},
	{key: "load.burstiness", at: func(s *Study) any { return &s.Load.Burstiness }, above: zero, max: bound(1000), doc: "Shape of gamma arrivals; 1 = poisson, less = bursts."},

	{key: "protocol.profile", at: func(s *Study) any { return &s.Protocol.Profile }, enum: []string{"quick", "standard", "publication"}, fixed: true, doc: "Shorthand for idle_s, conditioning_s and window_s."},
	{key: "protocol.warmup", at: func(s *Study) any { return &s.Protocol.Warmup }, enum: []string{"full", "fast"}, fixed: true, doc: "full = a Run at full shape; fast = three passes."},
	{key: "protocol.idle_s", at: func(s *Study) any { return &s.Protocol.IdleS }, min: zero, max: day, fixed: true, doc: "Idle time with the model loaded."},
	{key: "protocol.conditioning_s", at: func(s *Study) any { return &s.Protocol.ConditioningS }, min: zero, max: day, fixed: true, doc: "Least time under load before the window."},
	{key: "protocol.window_s", at: func(s *Study) any { return &s.Protocol.WindowS }, above: zero, max: day, fixed: true, doc: "Least length of a window."},
	{key: "protocol.cycles", at: func(s *Study) any { return &s.Protocol.Cycles }, min: one, max: bound(10000), fixed: true, doc: "Blocks: each runs every cell once."},
	{key: "protocol.order", at: func(s *Study) any { return &s.Protocol.Order }, enum: []string{"randomised", "grouped"}, fixed: true, doc: "grouped = one load, its windows as samples; flagged."},
	{key: "protocol.windows", at: func(s *Study) any { return &s.Protocol.Windows }, min: one, max: bound(1000), fixed: true, doc: "Windows of each load."},
	{key: "protocol.regime", at: func(s *Study) any { return &s.Protocol.Regime }, enum: []string{RegimeHot, RegimeCooldown}, fixed: true, doc: "Thermal regime. cooldown = idle before each measured Run, and no conditioning."},
	{key: "protocol.cooldown_s", at: func(s *Study) any { return &s.Protocol.CooldownS }, min: zero, max: day, fixed: true, doc: "Most idle time before the measured Run (cooldown)."},
	{key: "protocol.phase_probes", at: func(s *Study) any { return &s.Protocol.PhaseProbes }, fixed: true, doc: "A probe trial of one output token beside each cell, to split joules between prefill and decode."},

	{key: "limits.hours", at: func(s *Study) any { return &s.Limits.Hours }, above: zero, fixed: true, unused: notYet, doc: "Most hours of the study."},
	{key: "limits.kwh", at: func(s *Study) any { return &s.Limits.KWh }, above: zero, fixed: true, unused: notYet, doc: "Most energy of the study."},
	{key: "limits.cost", at: func(s *Study) any { return &s.Limits.Cost }, above: zero, fixed: true, unused: notYet, doc: "Most cost of the study."},
	{key: "limits.trial_timeout_s", at: func(s *Study) any { return &s.Limits.TrialTimeoutS }, above: zero, fixed: true, doc: "Most time of one trial."},
	{key: "limits.load_timeout_s", at: func(s *Study) any { return &s.Limits.LoadTimeoutS }, above: zero, fixed: true, doc: "Most time of one load."},
	{key: "limits.max_failures", at: func(s *Study) any { return &s.Limits.MaxFailures }, min: one, fixed: true, doc: "Give up after so many failed trials."},

	{key: "gpu.devices", at: func(s *Study) any { return &s.GPU.Devices }, fixed: true, unused: notYet, doc: "GPUs to use, by UUID or index."},
	{key: "gpu.power_limit_w", at: func(s *Study) any { return &s.GPU.PowerLimitW }, above: zero, unused: notYet, doc: "Power limit to set."},
	{key: "gpu.lock_clocks_mhz", at: func(s *Study) any { return &s.GPU.LockClocksMHz }, min: one, unused: notYet, doc: "SM clock to lock."},

	{key: "compare.baseline", at: func(s *Study) any { return &s.Compare.Baseline }, fixed: true, doc: "Cell that the others are compared with: its label, experiment or id. Default: the first cell."},
}

// defaults is a study before its file is read. Profile times come later.
func defaults() *Study {
	return &Study{
		Energy:   []string{"auto"},
		Model:    Model{Weights: "auto"},
		Workload: Workload{Dataset: "synthetic", Requests: 64, InputTokens: 512, OutputTokens: 128, Seed: 42, Lengths: "exact"},
		Load:     LoadSpec{Mode: "batch"},
		Protocol: Protocol{Profile: "standard", Warmup: "full", Cycles: 5, Order: "randomised", Windows: 1, Regime: RegimeHot},
		Backends: map[string]Instance{}, Sources: map[string]Instance{},
	}
}

// findField looks a key up in a table.
func findField[T any](fields []field[T], key string) (field[T], bool) {
	i := slices.IndexFunc(fields, func(f field[T]) bool { return f.key == key })
	if i < 0 {
		return field[T]{}, false
	}
	return fields[i], true
}
