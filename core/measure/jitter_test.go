package measure

import (
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// quarter makes a rig's meter one that looks at a quarter of the time.
func quarter(r *rig) *rig {
	r.meter.domain = func(d *sdk.Domain) {
		d.Reading, d.UpdatePeriodNs, d.AveragingNs = sdk.ReadingInstant, 4*int64(meterPeriod), int64(meterPeriod)
	}
	every := 0
	r.meter.change = func(*sdk.SampleBatch) bool { every++; return every%4 == 0 }
	return r
}

// A sensor that looks at part of the time gets gaps between passes, and they are
// taken out of the window's time and energy.
func TestGapsForASensorThatLooksAtPartOfTheTime(t *testing.T) {
	got := quarter(newRig(t, "").ranked()).one()
	spec, w := got.Run.Spec, got.Windows[0]
	if spec.GapNsMost != 4*int64(meterPeriod) || spec.GapSeed != gapSeed(42, 0, "a") || got.WarmUp.Spec.GapNsMost != 0 {
		t.Errorf("gaps of up to %d ns, seed %d; in the warm-up %d", spec.GapNsMost, spec.GapSeed, got.WarmUp.Spec.GapNsMost)
	}
	var busy, gaps, last int64
	for _, p := range got.Run.Passes {
		if p.BeginNs >= w.FromNs && p.EndNs <= w.ToNs {
			if busy += p.EndNs - p.BeginNs; last != 0 {
				gaps += p.BeginNs - last
			}
			last = p.EndNs
		}
	}
	if w.GapsNs != gaps || w.DurationNs() != busy || busy < 2050e6 || gaps < int64(w.Passes)*spec.GapNsMost/8 {
		t.Errorf("%d passes of %d ns with gaps of %d ns; the window says %d and %d", w.Passes, busy, gaps, w.DurationNs(), w.GapsNs)
	}
	near(t, "energy", *w.EnergyJ, 100*float64(busy)/1e9, 1e-6)
	near(t, "power", *w.MeanPowerW, 100, 1e-6)
	near(t, "tokens/s", w.OutputTokensPerS, float64(w.OutputTokens)/(float64(busy)/1e9), 1e-9)
	wantCode(t, got, "duty_sampled/info")
	if w.Domains[0].Window.Method != energy.MethodApertures || !got.Ranked || strings.Contains(codes(got), "gap") {
		t.Errorf("%s, ranked %v: %s", w.Domains[0].Window.Method, got.Ranked, codes(got))
	}
}

// A sensor that does not state its period has the one that its samples show.
func TestGapsForASensorThatStatesNoPeriod(t *testing.T) {
	r := quarter(newRig(t, "").ranked())
	whole := r.meter.domain
	r.meter.domain = func(d *sdk.Domain) {
		whole(d)
		d.UpdatePeriodNs = 0
	}
	got := r.one()
	if most := got.Run.Spec.GapNsMost; most < 3*int64(meterPeriod) || most > 5*int64(meterPeriod) {
		t.Errorf("gaps of up to %d ns", most)
	}
	if got.Windows[0].Domains[0].Window.Method != energy.MethodApertures {
		t.Errorf("%+v", got.Windows[0].Domains[0].Window)
	}
	wantCode(t, got, "duty_sampled/info")
}

func TestWhereGapsDoNotHelp(t *testing.T) {
	t.Run("closed loop", func(t *testing.T) {
		r := quarter(newRig(t, "")).each(func(c *study.Cell) { c.Load = study.LoadSpec{Mode: "closed", Concurrency: 4} })
		got := r.one()
		if got.Run.Spec.GapNsMost != 0 || got.Windows[0].GapsNs != 0 {
			t.Errorf("gaps of up to %d ns", got.Run.Spec.GapNsMost)
		}
		wantCode(t, got, "duty_sampled/warning")
	})
	t.Run("few passes", func(t *testing.T) {
		r := quarter(newRig(t, "")).each(func(c *study.Cell) { c.Workload.OutputTokens = 30 })
		got := r.one()
		if w := got.Windows[0]; w.Passes >= leastGappedPasses || w.GapsNs == 0 {
			t.Errorf("%d passes with gaps of %d ns", w.Passes, w.GapsNs)
		}
		wantCode(t, got, "few_gapped_passes/warning")
	})
}

func TestWantedGaps(t *testing.T) {
	full := energy.Domain{ID: "full", Reading: energy.ReadingInstant, UpdateNs: 900, AveragingNs: 900}
	part := energy.Domain{ID: "part", Reading: energy.ReadingInstant, UpdateNs: 100, AveragingNs: 25}
	slow := energy.Domain{ID: "slow", Reading: energy.ReadingTrailingMean, UpdateNs: 200, AveragingNs: 100}
	unknown := energy.Domain{ID: "unknown", Reading: energy.ReadingInstant, UpdateNs: 5000}
	can := []string{"check", sdk.FeaturePassGaps}
	for _, c := range []struct {
		loop     sdk.Loop
		headline []energy.Domain
		features []string
		mostNs   int64
		code     string
	}{
		{sdk.LoopBatch, []energy.Domain{full}, can, 0, ""},
		{sdk.LoopBatch, []energy.Domain{full, part}, can, 100, ""},
		{sdk.LoopBatch, []energy.Domain{slow, part}, can, 200, ""},
		{sdk.LoopBatch, []energy.Domain{unknown, part}, can, 100, ""},
		{sdk.LoopBatch, []energy.Domain{unknown}, can, 0, ""},
		{sdk.LoopClosed, []energy.Domain{part}, can, 0, ""},
		{sdk.LoopBatch, []energy.Domain{part}, []string{"check"}, 0, "no_pass_gaps"},
		{sdk.LoopBatch, []energy.Domain{full}, nil, 0, ""},
	} {
		mostNs, doubts := wantedGaps(c.loop, c.headline, c.features)
		if mostNs != c.mostNs || len(doubts) > 0 != (c.code != "") || len(doubts) > 0 && doubts[0].Code != c.code {
			t.Errorf("%s of %v: gaps of up to %d ns, %+v", c.loop, c.headline, mostNs, doubts)
		}
	}
}
