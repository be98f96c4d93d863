package measure

import (
	"fmt"
	"math"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

func openCell(l study.LoadSpec, windowS float64) study.Cell {
	return study.Cell{Load: l, Workload: study.Workload{Seed: 42}, Protocol: study.Protocol{ConditioningS: 10, WindowS: windowS}}
}

// A window of an open loop has the joules per token of its requests, at a load that
// idles, one that is busy and one near what the server can do, for all patterns of
// arrivals. A cut by time has not.
func TestOpenWindowsHaveTheJoulesOfTheirRequests(t *testing.T) {
	const windows, blocks = 2, 10
	for _, l := range []study.LoadSpec{
		{Mode: "constant", Rate: 2}, {Mode: "constant", Rate: 11}, {Mode: "poisson", Rate: 2}, {Mode: "poisson", Rate: 6},
		{Mode: "poisson", Rate: 11}, {Mode: "gamma", Rate: 6, Burstiness: 0.3}, {Mode: "gamma", Rate: 6, Burstiness: 5},
	} {
		c := openCell(l, 30)
		worst, byTime := 0.0, 0.0
		for block := range blocks {
			s := schedule{mode: l.Mode, ratePerS: l.Rate, burstiness: l.Burstiness, seed: 42, block: block}
			o := server.serve(s.offsets(scheduledRequests(c, windows)), 0)
			cuts := cutArrivals(o.done, step(c), 10e9, 30e9, windows)
			if len(cuts) != windows {
				t.Fatalf("%+v, block %d: %d windows", l, block, len(cuts))
			}
			for _, got := range cuts {
				off := o.joules(got.FromNs, got.ToNs)/float64(got.OutputTokens)/o.truth(got) - 1
				worst = max(worst, math.Abs(off))
				prompt, output := got.mismatch()
				if max(math.Abs(prompt), math.Abs(output)) > 0.01 {
					t.Errorf("%+v, block %d: tokens differ from the workload's by %.4f (prompt), %.4f (output)", l, block, prompt, output)
				}
				byTime = max(byTime, math.Abs(o.byTime(got.FromNs+7e8, got.FromNs+7e8+30e9)))
			}
		}
		t.Logf("%s at %v/s (%v): off by %.2f %% at worst, a cut by time by %.2f %%", l.Mode, l.Rate, l.Burstiness, 100*worst, 100*byTime)
		if worst >= 0.005 {
			t.Errorf("%+v: J/token is off by %.2f %%", l, 100*worst)
		}
	}
}

// sums of joules and tokens, window by window.
type sums struct{ joules, tokens []float64 }

func (s *sums) add(joules float64, tokens int64) {
	s.joules, s.tokens = append(s.joules, joules), append(s.tokens, float64(tokens))
}

// ratio is J/token over all windows, with its standard error.
func (s *sums) ratio() (perToken, se float64) {
	joules, tokens, square := 0.0, 0.0, 0.0
	for i := range s.joules {
		joules, tokens = joules+s.joules[i], tokens+s.tokens[i]
	}
	for i := range s.joules {
		off := s.joules[i] - joules/tokens*s.tokens[i]
		square += off * off
	}
	return joules / tokens, math.Sqrt(square) / tokens
}

// Edges that are chosen by work prefer no joules: over many blocks their windows
// have those per token of windows whose edges were not chosen, and of a Run without
// end.
func TestOpenWindowsAreUnbiased(t *testing.T) {
	const blocks = 200
	unmoved := func(_ []tally, from, to, _, _ int, _ int64) (int, int) { return from, to }
	for _, l := range []study.LoadSpec{{Mode: "poisson", Rate: 6}, {Mode: "gamma", Rate: 6, Burstiness: 0.5}} {
		c := openCell(l, 20)
		var chosen, plain, endless sums
		for block := range blocks {
			s := schedule{mode: l.Mode, ratePerS: l.Rate, burstiness: l.Burstiness, seed: 1, block: block}
			o := server.serve(s.offsets(scheduledRequests(c, 1)), 0)
			for _, got := range cutArrivals(o.done, edgeStep(c), 5e9, 20e9, 1) {
				chosen.add(o.joules(got.FromNs, got.ToNs), got.OutputTokens)
			}
			for _, got := range cutAt(o.done, edgeStep(c), 5e9, 20e9, 1, unmoved) {
				plain.add(o.joules(got.FromNs, got.ToNs), got.OutputTokens)
			}
			whole := cut{FromNs: 5e9, ToNs: o.done[len(o.done)-1].IntendedNs}
			for _, done := range o.done {
				for _, chunk := range done.Chunks {
					if chunk.MonoNs > whole.FromNs && chunk.MonoNs <= whole.ToNs {
						whole.OutputTokens++
					}
				}
			}
			endless.add(o.joules(whole.FromNs, whole.ToNs), whole.OutputTokens)
		}
		a, se := chosen.ratio()
		b, _ := plain.ratio()
		near(t, l.Mode+": J/token by edges that were chosen", a, b, 0.004)
		truth, trueSE := endless.ratio()
		if off := math.Abs(a - truth); off > 4*math.Hypot(se, trueSE) || se > 0.01*a {
			t.Errorf("%s: J/token is %.4f ± %.4f, that of a Run without end %.4f ± %.4f", l.Mode, a, se, truth, trueSE)
		}
		t.Logf("%s: J/token %.4f ± %.4f by chosen edges, %.4f by others, %.4f ± %.4f without end", l.Mode, a, se, b, truth, trueSE)
	}
}

// A rate beyond what the server can do is told from one that it can just do.
func TestOverloadIsFound(t *testing.T) {
	for _, l := range []struct {
		load study.LoadSpec
		over bool
	}{
		{study.LoadSpec{Mode: "constant", Rate: 12}, false}, {study.LoadSpec{Mode: "poisson", Rate: 2}, false},
		{study.LoadSpec{Mode: "poisson", Rate: 9}, false}, {study.LoadSpec{Mode: "constant", Rate: 15}, true},
		{study.LoadSpec{Mode: "poisson", Rate: 16}, true}, {study.LoadSpec{Mode: "gamma", Rate: 20, Burstiness: 0.5}, true},
	} {
		c := openCell(l.load, 30)
		found := 0
		const blocks = 8
		for block := range blocks {
			s := schedule{mode: l.load.Mode, ratePerS: l.load.Rate, burstiness: l.load.Burstiness, seed: 3, block: block}
			o := server.serve(s.offsets(scheduledRequests(c, 1)), 0)
			cuts := cutArrivals(o.done, step(c), 20e9, 30e9, 1)
			if len(cuts) != 1 {
				t.Fatalf("%+v, block %d: %d windows", l.load, block, len(cuts))
			}
			a := arrivals(o.done, cuts[0].FromNs, cuts[0].ToNs)
			if a.LagGrowth == nil {
				t.Fatalf("%+v, block %d: %+v", l.load, block, a)
			}
			if *a.LagGrowth > 0.05 && *a.LagGrowth > 3**a.LagGrowthError {
				found++
			}
			near(t, fmt.Sprintf("%+v, block %d: arrivals/s", l.load, block), a.RatePerS, l.load.Rate, 0.5)
		}
		t.Logf("%+v: %d of %d", l.load, found, blocks)
		if l.over && found < blocks-1 || !l.over && found > 0 {
			t.Errorf("%+v: overload in %d of %d blocks", l.load, found, blocks)
		}
	}
	if a := arrivals(nil, 0, 1e9); a.LagGrowth != nil || a.Requests != 0 {
		t.Errorf("nothing arrived: %+v", a)
	}
}
