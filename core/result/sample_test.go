package result

import (
	"flag"
	"math"
	"testing"
	"time"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/sdk"
)

var update = flag.Bool("update", false, "rewrite golden files")

func ptr[T any](v T) *T { return &v }

// sampleTraces are a counter with a restart and a gap long before the window,
// and a power reading that states no period.
func sampleTraces(t *testing.T) map[string]*energy.Trace {
	t.Helper()
	counter := energy.Domain{
		ID: "rapl/package-0", Kind: energy.KindCPUPackage, DeviceIDs: []string{"package-0"}, Reading: energy.ReadingCounter,
		UpdateNs: 10e6, UnitNum: 1, UnitDen: 1_000_000, Accuracy: energy.Accuracy{GainRel: 0.05, OffsetW: 0.1}, Source: "rapl", Host: "alpha",
	}
	b, err := energy.NewBuilder(counter)
	if err != nil {
		t.Fatal(err)
	}
	joules := func(ns int64) int64 { return int64(42 * float64(ns) / 1e9 * 1e6) }
	for i := range int64(6000) { // every 10 ms for a minute
		ns := 1e9 + i*10e6
		batch := energy.Batch{Sequence: uint64(i), StampsNs: []int64{ns}, Values: []int64{joules(ns)}, CompleteUntilNs: ns}
		switch {
		case i >= 300:
			batch.Epoch = 1
		case i == 100:
			batch.Dropped = 7
		}
		b.Append(batch)
	}
	instant := energy.Domain{
		ID: "sim/dram", Kind: energy.KindDRAM, Reading: energy.ReadingInstant, UnitNum: 1, UnitDen: 1000, Source: "sim", Estimated: true,
	}
	var samples []energy.Sample
	for i := range int64(600) {
		samples = append(samples, energy.Sample{MonoNs: 1e9 + i*100e6, Value: 3000 + int64(500*math.Sin(float64(i)/7))})
	}
	dram, err := energy.NewTrace(instant, samples, 61e9)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*energy.Trace{counter.ID: b.Snapshot(), instant.ID: dram}
}

func sampleQuantiles(ns int64) *Quantiles {
	return &Quantiles{N: 51, Without: 1, MeanNs: ns + 5, P50Ns: ns, P90Ns: ptr(ns + 10), P50BoundsNs: &[2]int64{ns - 3, ns + 3}, P90BoundsNs: &[2]int64{ns + 7, ns + 13},
		P95Ns: ptr(ns + 15), P95BoundsNs: &[2]int64{ns + 12, ns + 18}, P99BoundsNs: &[2]int64{ns + 16, ns + 19}, Absent: map[string]string{"p99": "52 requests, and p99 needs 368"}}
}

// sampleTrial has every field of the record set.
func sampleTrial(t *testing.T, traces map[string]*energy.Trace) Trial {
	t.Helper()
	const from, to = int64(30_003_000_000), int64(50_007_000_000)
	window := Window{
		Index: 0, FromNs: from, ToNs: to, Rule: "passes 7-19", Passes: 13, Requests: 52, PromptTokens: 6656, OutputTokens: 3328, PaddingTokens: 12,
		OutputTokensPerS: 3328 / 20.004,
		TTFT:             sampleQuantiles(30e6),
		TPOT:             sampleQuantiles(5e6),
		E2E:              sampleQuantiles(400e6),
		TTFTSent:         sampleQuantiles(29e6),
		E2ESent:          sampleQuantiles(399e6),
		Queue:            sampleQuantiles(1e6),
		ArrivalGaps:      &ArrivalGaps{Between: BetweenChunks, TokensPerChunk: 1.25, Gaps: Quantiles{N: 400, MeanNs: 6e6, P50Ns: 6e6, P90Ns: ptr(int64(7e6)), P95Ns: ptr(int64(8e6)), P99Ns: ptr(int64(9e6))}},
		LatenciesAbsent:  map[string]string{"other": "no stamp"},
		Goodput:          &Goodput{TTFTMs: ptr(200.0), TPOTMs: ptr(50.0), E2EMs: ptr(1e3), Requests: 52, Met: 48, Unknown: 1, RequestsPerS: ptr(2.4), Share: ptr(48.0 / 52), RequestsPerJ: ptr(0.06), Absent: "not here"},
		Warnings:         []energy.Warning{{Code: "window_short", Severity: energy.SeverityWarning, Message: "shown"}},
	}
	for _, id := range []string{"rapl/package-0", "sim/dram"} {
		d := traces[id].Domain
		w, err := traces[id].Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		window.Domains = append(window.Domains, DomainEnergy{DomainID: id, Kind: d.Kind, Source: d.Source, Estimated: d.Estimated, Window: w})
	}
	joules := window.Domains[0].Window.EnergyJ
	window.EnergyJ, window.SystematicRel, window.EdgeRel = &joules, ptr(0.0524), ptr(0.0003)
	window.EnergyPerOutputTokenJ, window.EnergyPerRequestJ, window.MeanPowerW = ptr(joules/3328), ptr(joules/52), ptr(joules/20.004)
	counters := &sdk.Counters{MonoNs: 9, EngineSteps: ptr(int64(64)), RunningMean: ptr(3.5), Named: []sdk.NamedMetric{{Name: "cache_hits", Unit: "1", Direction: "higher", Value: 0.25}}}
	run := &Run{
		Spec:    sdk.RunSpec{WorkID: "w1", Loop: sdk.LoopBatch, RequestsPerPass: 4, Record: sdk.RecordToken, HeartbeatMs: 1000, MaxPasses: 20},
		BeginNs: 20e9, EndNs: 52e9, Reason: sdk.FinishStopped, Before: counters, After: counters, Requests: 80,
		Passes: []sdk.PassRecord{{Index: 0, BeginNs: 20e9, EndNs: 21e9, Requests: 4, PromptTokens: 512, OutputTokens: 256}},
	}
	return Trial{
		SchemaVersion: SchemaVersion, Study: "quickstart", Block: 2, Position: 1, Status: StatusOK, Ranked: true,
		Cell: Cell{
			ID: "c0ffee", Label: "q8_0 <fast>", Instance: "ggml", Definition: "backend = ggml",
			Parameters: sdk.Table{"threads": int64(1<<53 + 1), "ratio": 1.0, "tiny": 1e-300, "list": []any{int64(1), 2.0, "x", true}, "nested": sdk.Table{"a": int64(-1)}},
			Axes:       map[string]any{"backends.ggml.weight_type": "q8_0", "workload.input_tokens": int64(128)}, Loop: sdk.LoopBatch,
		},
		Warnings: []energy.Warning{{Code: "random_weights", Severity: energy.SeverityInfo, Message: "the weights are random"}},
		Host:     "alpha", BootID: "b00t", StartedUTC: "2026-01-02T03:04:05Z", FinishedUTC: "2026-01-02T03:05:05Z", CoreVersion: "0.1.0",
		Plugin:  Plugin{Name: "ggml", Version: "0.1.0", SDKVersion: "0.1.0", Digest: "sha256:aa"},
		Sources: []Source{{Name: "rapl", Why: "auto: readable", Domains: []energy.Domain{traces["rapl/package-0"].Domain}}},
		Load: &Load{BeginNs: 5e9, EndNs: 8e9, Stages: []sdk.StageEvent{{Kind: sdk.StageWeights, Moment: sdk.StageBegin, MonoNs: 5e9}},
			Report: sdk.LoadReport{Engine: "ggml", Resolved: sdk.Table{"threads": int64(2), "scale": 2.0},
				Model: sdk.ModelIdentity{Base: "random-small", Parameters: ptr(int64(123)), RandomWeights: true}, Devices: []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: 77}}}},
		Work:   &Work{Hash: "h1", TokenHash: "t1", Requests: 80, PassHashes: []string{"p0", "p1"}},
		WarmUp: run, Run: run, Conditioning: &Conditioning{FromNs: 20e9, ToNs: 30e9, Settled: true, Reason: "time reached"},
		IdlePowerW: map[string]float64{"rapl/package-0": 11.5},
		Boundary:   "cpu_package[package-0]", Headline: []string{"rapl/package-0"}, Windows: []Window{window},
		Gates: &gate.Verdict{Passed: []string{"no_output"}, Found: []string{"window_short"}, Unknown: map[string]string{"clock_step": "no pair of clock reads"}, NotApplicable: []string{"mig_on"}},
		Audit: []gate.Audit{{Domain: "rapl/package-0", Check: "rapl/other", FromNs: 20e9, ToNs: 52e9, Ratio: ptr(1.0014), RandomRel: 0.002, Method: energy.MethodIntervalMean, CheckMethod: energy.MethodCounterInterpolated},
			{Domain: "rapl/package-0", Check: "rapl/gone", FromNs: from, ToNs: to, Code: "no_ratio", Reason: "no energy to check by"}},
		Devices: []Device{{
			Facts: device.Facts{UUID: "GPU-1", Model: "NVIDIA H100", Persistence: ptr(true), DefaultLimitMilliW: ptr(int64(700_000)), Absent: map[string]string{"mig": "not supported"},
				Sensors: []device.Sensor{{Name: "ring", Scope: "gpu", UpdateNs: 20e6, ResolutionCounts: 1, CallP50Ns: 6e5, CallP99Ns: 7e5, Calls: 9, Changes: 8, Depth: 119}}},
			Before: &device.Snapshot{MonoNs: 4e9, Reading: device.Reading{MonoNs: 4e9, UtilisationPct: ptr(int64(0))}, Processes: []device.Process{}, PowerCapNs: ptr(int64(0))},
			After:  &device.Snapshot{MonoNs: 53e9, Processes: []device.Process{{PID: 77, Kind: "compute"}}, RowRemapPending: ptr(false)},
			Readings: NewReadings([]device.Reading{{MonoNs: 21e9, TemperatureC: ptr(int64(60)), Reasons: ptr(uint64(4))},
				{MonoNs: 22e9, TemperatureC: ptr(int64(61)), Reasons: ptr(uint64(4))}}),
		}},
		HostLoad: &environ.Shares{Others: ptr(0.01), OwnCPUs: ptr(1.5), ThrottledNs: ptr(int64(0))},
	}
}

func testDir(t *testing.T) *Dir {
	t.Helper()
	d, err := Create(t.TempDir(), "quick start", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// publish writes a whole trial of cell and block.
func publish(d *Dir, trial Trial, traces map[string]*energy.Trace) error {
	a, err := d.Begin(trial.Cell.ID, trial.Block)
	if err != nil {
		return err
	}
	if _, err := a.Log().Write([]byte("loaded\n")); err != nil {
		return err
	}
	if err := a.WriteRequests(sampleCompletions(), "measured"); err != nil {
		return err
	}
	if err := a.WritePower(traces, 20e9, 52e9); err != nil {
		return err
	}
	return a.Publish(trial)
}

func sampleCompletions() []sdk.Completion {
	return []sdk.Completion{
		{Request: 0, IntendedNs: 1, SentNs: 2, FirstNs: 3, LastNs: 9, PromptTokens: 128, OutputTokens: 64, CachedPromptTokens: ptr(uint32(0)),
			OutputHash: ptr(uint64(math.MaxUint64)), FinishReason: "length", Chunks: []sdk.Chunk{{MonoNs: 3, Tokens: 1}, {MonoNs: 9, Tokens: 63}}},
		{Request: 1, SentNs: 2, PromptTokens: 5, FinishReason: "error", Error: "out of \"memory\""},
	}
}
