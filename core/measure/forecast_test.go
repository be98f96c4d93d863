package measure

import (
	"math"
	"strings"
	"testing"

	"github.com/llenergymeasure/llem/core/study"
)

// A schedule that memory can not hold is refused with a rate that it can.
func TestAScheduleThatMemoryCannotHoldIsRefused(t *testing.T) {
	for _, c := range []struct {
		load    study.LoadSpec
		input   int
		windowS float64
		refused bool
	}{
		{study.LoadSpec{Mode: "poisson", Rate: 10}, 512, 60, false},
		{study.LoadSpec{Mode: "constant", Rate: 1000}, 512, 60, true},
		{study.LoadSpec{Mode: "gamma", Rate: 20, Burstiness: 0.2}, 100_000, 60, true},
		{study.LoadSpec{Mode: "poisson", Rate: 5}, 1000, 86400, true},
		{study.LoadSpec{Mode: "closed", Concurrency: 1000}, 10_000, 60, false},
		{study.LoadSpec{Mode: "constant", Rate: 1e6}, 1_000_000, 60, false}, // its second is refused before
	} {
		cell := study.Cell{Load: c.load, Workload: study.Workload{InputTokens: c.input}, Protocol: study.Protocol{ConditioningS: 60, WindowS: c.windowS}}
		found := CheckSchedule(cell, 2)
		if len(found) > 0 != c.refused {
			t.Errorf("%+v: %+v", c, found)
		}
		if !c.refused || len(found) == 0 {
			continue
		}
		d := found[0]
		if d.KeyPath != "load.rate" || !strings.Contains(d.Message, "are prepared at once (512 MiB)") || !strings.HasPrefix(d.Advice, "lower it to ") {
			t.Errorf("%+v: %+v", c, d)
		}
		rate := greatestRate(cell, 2, mostPasses(cell.Workload, 1))
		if cell.Load.Rate = rate; len(CheckSchedule(cell, 2)) > 0 {
			t.Errorf("%+v: the advised rate of %v is refused, too", c, rate)
		}
		if cell.Load.Rate = 1.02 * rate; len(CheckSchedule(cell, 2)) == 0 {
			t.Errorf("%+v: more than the advised rate of %v would do", c, rate)
		}
	}
}

// The forecast of a Run holds what a trial sends: at least the conditioning and
// the windows, at most what is prepared.
func TestTheForecastOfAnOpenLoop(t *testing.T) {
	c := openCell(study.LoadSpec{Mode: "poisson", Rate: 6}, 30)
	f, open := ForecastOpen(c, 2)
	if !open || f.Requests != scheduledRequests(c, 2) || f.LeastS < 70 || f.MostS < 90 || f.LeastRequests < 6*70 || f.LeastRequests >= f.Requests {
		t.Errorf("%+v", f)
	}
	offsets := schedule{mode: "poisson", ratePerS: 6, seed: 42}.offsets(f.Requests)
	if last := float64(offsets[f.Requests-1]) / 1e9; math.Abs(last/f.MostS-1) > 0.2 {
		t.Errorf("the last arrival is after %.1f s, and %.1f s were told", last, f.MostS)
	}
	if _, open := ForecastOpen(study.Cell{Load: study.LoadSpec{Mode: "closed"}}, 2); open {
		t.Error("a closed loop has a schedule")
	}
}
