package measure

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// closedLoop serves c requests at a time for rounds of them. apartNs lies between
// the first arrivals: 0 = all march in step for good, since their lengths are equal.
func (s toy) closedLoop(c, rounds int, apartNs int64) *served {
	s.slots = c
	first := make([]int64, c)
	for i := range first {
		first[i] = int64(i) * apartNs
	}
	return s.serve(first, c*(rounds-1))
}

// perToken is the joules of a token over all requests but the first and the last
// two rounds.
func (o *served) perToken(c int) float64 {
	done := slices.SortedStableFunc(slices.Values(o.done), func(a, b sdk.Completion) int { return cmp.Compare(a.LastNs, b.LastNs) })
	return o.truth(sumCompletions(done, 2*c, len(done)-2*c))
}

// The windows of a closed loop have the joules per token of their requests within
// 0.5 %, wherever they fall: whether requests of equal lengths march in step, lose
// it, or are spread over half a round or all of it. A cut by time is off by tens of
// per cent where it is about as long as a round, and the longer the less.
func TestClosedWindowsHaveTheJoulesOfTheirRequests(t *testing.T) {
	const windows, rounds, places = 2, 32, 8
	for _, l := range []struct {
		name        string
		concurrency int
		apart       float64 // the first arrivals, in shares of a round over all of them
		lateNs      int64   // followers
		byTime      float64 // that a short cut by time is off at least
	}{
		{"in step", 32, 0, 0, 0.2}, {"in step", 128, 0, 0, 0.2}, {"losing step", 32, 0, 400e6, 0}, {"losing step", 128, 0, 400e6, 0},
		{"half spread", 32, 0.5, 40e6, 0.05}, {"half spread", 128, 0.5, 40e6, 0.05}, {"spread", 32, 1, 40e6, 0}, {"spread", 128, 1, 40e6, 0},
	} {
		server := server
		server.lateNs = l.lateNs
		roundNs := server.closedLoop(l.concurrency, 1, 0).done[0].LastNs
		o := server.closedLoop(l.concurrency, rounds, int64(l.apart*float64(roundNs)/float64(l.concurrency)))
		truth := o.perToken(l.concurrency)
		worst, fromRun := 0.0, 0.0
		byTime := map[float64]float64{}
		for place := range places {
			settledNs := 4*roundNs + int64(place)*roundNs/places
			cuts := cutCompletions(o.done, l.concurrency, settledNs, 9*roundNs, windows)
			if len(cuts) != windows {
				t.Fatalf("%s, %d: %d windows", l.name, l.concurrency, len(cuts))
			}
			for _, got := range cuts {
				perToken := o.joules(got.FromNs, got.ToNs) / float64(got.OutputTokens)
				worst, fromRun = max(worst, math.Abs(perToken/o.truth(got)-1)), max(fromRun, math.Abs(perToken/truth-1))
				prompt, output := got.mismatch()
				if max(math.Abs(prompt), math.Abs(output)) > 0.01 {
					t.Errorf("%s, %d: tokens differ from the workload's by %.4f (prompt), %.4f (output)", l.name, l.concurrency, prompt, output)
				}
			}
			for _, long := range []float64{1.5, 3.5, 10.5} {
				off := o.perTokenByTime(settledNs, settledNs+int64(long*float64(roundNs)))/truth - 1
				byTime[long] = max(byTime[long], math.Abs(off))
			}
		}
		t.Logf("%d %s, rounds of %.1f s: off by %.3f %% at worst, from the Run's by %.3f %%; a cut by time of 1.5 rounds by %.1f %%, of 3.5 by %.1f %%, of 10.5 by %.1f %%",
			l.concurrency, l.name, float64(roundNs)/1e9, 100*worst, 100*fromRun, 100*byTime[1.5], 100*byTime[3.5], 100*byTime[10.5])
		if worst >= 0.005 {
			t.Errorf("%s, %d: J/token is off by %.2f %%", l.name, l.concurrency, 100*worst)
		}
		if l.lateNs == 0 && fromRun >= 0.005 { // all rounds are alike
			t.Errorf("%s, %d: J/token is %.2f %% from that of the Run", l.name, l.concurrency, 100*fromRun)
		}
		if byTime[1.5] < l.byTime {
			t.Errorf("%s, %d: a cut by time is off by %.1f %% at worst; this loop proves nothing", l.name, l.concurrency, 100*byTime[1.5])
		}
	}
}
