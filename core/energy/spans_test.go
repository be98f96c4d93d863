package energy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// wave is a power over time that is known exactly: 300 W in passes of exactly one
// second with 200 W more in the first 60 ms, 100 W between passes.
type wave struct{ passes []Span }

const (
	passNs  = int64(1e9)
	spikeNs = int64(60e6)
)

func newWave(beginNs int64, count int, gapNs func() int64) wave {
	var w wave
	for range count {
		w.passes = append(w.passes, Span{beginNs, beginNs + passNs})
		beginNs += passNs + gapNs()
	}
	return w
}

// meanW is the true mean between two stamps.
func (w wave) meanW(from, to int64) float64 {
	over := func(s Span) float64 { return float64(max(0, min(to, s.ToNs)-max(from, s.FromNs))) }
	sum := 100 * float64(to-from)
	for _, p := range w.passes {
		sum += 200*over(p) + 200*over(Span{p.FromNs, p.FromNs + spikeNs})
	}
	return sum / float64(to-from)
}

// passJ is the true energy of one pass.
const passJ = 300*1.0 + 200*0.06

// seenBy reads the wave with 25 ms of every 100 ms, as A100's only power reading.
func (w wave) seenBy(t *testing.T) *Trace {
	t.Helper()
	d := Domain{ID: "d", Kind: KindGPU, Reading: ReadingInstant, AveragingNs: 25e6, UpdateNs: 100e6, LagNs: 3e6, UnitNum: 1, UnitDen: 1000}
	end := w.passes[len(w.passes)-1].ToNs + 1e9
	var samples []Sample
	for ns := int64(100e6); ns < end; ns += 100e6 {
		at := ns - d.LagNs
		samples = append(samples, Sample{MonoNs: ns, Value: int64(1000 * w.meanW(at-d.AveragingNs, at))})
	}
	trace, err := NewTrace(d, samples, end)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// Passes that march in step with the sensor are misread by several percent
// however many there are; random gaps bring that below one. Integrating each pass
// with straight lines between samples would let the idle power leak in.
func TestGapsTakeALoadOutOfStep(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const studies, passes = 200, 40
	var lockedSq, worst, gappedSq, gappedSum, lines, stated float64
	for range studies {
		begin := int64(2e9) + random.Int64N(100e6)
		locked := newWave(begin, passes, func() int64 { return 0 })
		plain, err := locked.seenBy(t).Window(begin, begin+passes*passNs)
		if err != nil {
			t.Fatal(err)
		}
		gapped := newWave(begin, passes, func() int64 { return random.Int64N(100e6 + 1) })
		trace := gapped.seenBy(t)
		got, err := trace.Spans(gapped.passes)
		if err != nil {
			t.Fatal(err)
		}
		straight, err := trace.sumOf(gapped.passes)
		if err != nil {
			t.Fatal(err)
		}
		lines += (straight.EnergyJ/(passes*passJ) - 1) / studies
		lockedRel, gappedRel := plain.EnergyJ/(passes*passJ)-1, got.EnergyJ/(passes*passJ)-1
		lockedSq, gappedSq, gappedSum = lockedSq+lockedRel*lockedRel, gappedSq+gappedRel*gappedRel, gappedSum+gappedRel
		worst, stated = max(worst, math.Abs(lockedRel)), got.RandomRel
	}
	locked, gapped := math.Sqrt(lockedSq/studies), math.Sqrt(gappedSq/studies)
	t.Logf("error of %d studies of %d passes: in step rms %.2f %%, worst %.2f %%; with gaps rms %.2f %%, mean %+.3f %% (stated sd %.2f %%; lines between samples: mean %+.2f %%)",
		studies, passes, 100*locked, 100*worst, 100*gapped, 100*gappedSum/studies, 100*stated, 100*lines)
	if locked < 0.02 || worst < 0.035 || lines > -0.01 {
		t.Errorf("the test is too easy: in step rms %g, worst %g, lines %g", locked, worst, lines)
	}
	if gapped > 0.01 || math.Abs(gappedSum/studies) > 0.001 || stated < gapped {
		t.Errorf("with gaps rms %g, mean %g, stated %g", gapped, gappedSum/studies, stated)
	}
}

func TestSpansSayHowTheyWereMade(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	gapped := newWave(2e9, 12, func() int64 { return random.Int64N(100e6 + 1) })
	got, err := gapped.seenBy(t).Spans(gapped.passes)
	if err != nil {
		t.Fatal(err)
	}
	last := gapped.passes[11].ToNs
	if got.Method != MethodApertures || got.FromNs != 2e9 || got.ToNs != last || math.Abs(got.CoverageRatio-0.25) > 0.01 || got.MeanPowerW != got.EnergyJ/12 {
		t.Errorf("%+v", got)
	}
	near(t, "aliasing is random here", got.AliasRel+1, 1, 0)
	// The period may be known from the samples only.
	silent := gapped.seenBy(t)
	samples := silent.Samples()
	d := silent.Domain
	d.UpdateNs = 0
	same, err := trace(t, d, silent.CompleteUntilNs, samples...).Spans(gapped.passes)
	if err != nil || same.Method != MethodApertures || math.Abs(same.EnergyJ/got.EnergyJ-1) > 1e-9 {
		t.Errorf("without a stated period: %+v, %v", same, err)
	}
	d.AveragingNs = 0
	if unknown, err := trace(t, d, silent.CompleteUntilNs, samples...).Spans(gapped.passes); err != nil || unknown.Method != MethodTrapezoid || !code(unknown, CodeDutyUnknown) || unknown.AliasRel < 0.2 {
		t.Errorf("of unknown aperture: %+v, %v", unknown, err)
	}
	if len(got.Warnings) != 1 || got.Warnings[0].Code != CodeDutySampled || got.Warnings[0].Severity != SeverityInfo {
		t.Errorf("warnings %+v", got.Warnings)
	}
}

// What holes in the recording cost passes with gaps is not averaged away.
func TestSpansWithAHole(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	gapped := newWave(2e9, 12, func() int64 { return random.Int64N(100e6 + 1) })
	whole := gapped.seenBy(t)
	var samples []Sample
	for _, s := range whole.Samples() {
		if s.MonoNs < 6e9 || s.MonoNs > 7e9 {
			samples = append(samples, s)
		}
	}
	sound, err := whole.Spans(gapped.passes)
	if err != nil {
		t.Fatal(err)
	}
	holed, err := trace(t, whole.Domain, whole.CompleteUntilNs, samples...).Spans(gapped.passes)
	if err != nil {
		t.Fatal(err)
	}
	missing := 1 - holed.CoverageRatio/0.25
	near(t, "missing", missing, 1.2/seconds(holed.ToNs-holed.FromNs), 1e-9)
	near(t, "random error", holed.RandomRel, math.Hypot(sound.RandomRel, missing/math.Sqrt(3)), 1e-9)
	if !code(holed, CodeSampleGap) || code(sound, CodeSampleGap) {
		t.Errorf("%+v, %+v", holed.Warnings, sound.Warnings)
	}
}

// A sensor that covers all time gives the spans to the joule.
func TestSpansOfASensorThatMissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	gapped := newWave(2e9, 5, func() int64 { return random.Int64N(100) * 1e6 })
	d := Domain{ID: "d", Kind: KindGPU, Reading: ReadingIntervalMean, UpdateNs: 1e6, UnitNum: 1, UnitDen: 1000}
	var samples []Sample
	for ns := int64(1e9); ns < 9e9; ns += 1e6 {
		samples = append(samples, Sample{MonoNs: ns, Value: int64(1000 * gapped.meanW(ns-1e6, ns))})
	}
	trace, err := NewTrace(d, samples, 9e9)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trace.Spans(gapped.passes)
	if err != nil || math.Abs(got.EnergyJ/(5*passJ)-1) > 1e-6 || got.Method != MethodIntervalMean || math.Abs(got.CoverageRatio-1) > 1e-9 || math.Abs(got.MeanPowerW-passJ) > 0.001 {
		t.Errorf("%+v, %v", got, err)
	}
	if got.FromNs != 2e9 || got.ToNs != gapped.passes[4].ToNs {
		t.Errorf("the window is %d to %d", got.FromNs, got.ToNs)
	}
}

func TestSpansThatAreNone(t *testing.T) {
	trace := newWave(2e9, 3, func() int64 { return 50e6 }).seenBy(t)
	for name, spans := range map[string][]Span{
		"none": nil, "empty": {{2e9, 2e9}}, "overlapping": {{2e9, 3e9}, {2.5e9, 4e9}}, "not recorded": {{2e9, 90e9}},
		"unseen": {{2.001e9, 2.002e9}},
	} {
		if w, err := trace.Spans(spans); err == nil {
			t.Errorf("%s: %+v", name, w)
		}
	}
}
