package measure

import (
	"fmt"
	"math"
)

// settleRule is when conditioning is over: after leastNs, as soon as the last
// pass times agree and power no longer drifts; at mostNs in any case.
type settleRule struct {
	leastNs, mostNs int64
}

// Thresholds of "settled": the last three pass times (or heartbeat rates) have
// a CV below passTimeCV, and mean power differs by less than powerDrift
// between the two halves of the conditioning's last stretch.
const (
	passTimeCV = 0.05
	powerDrift = 0.02
)

// maxConditioningNs caps conditioning whatever the profile says.
const maxConditioningNs = 180e9

func newSettleRule(conditioningS float64) settleRule {
	least := int64(conditioningS * 1e9)
	return settleRule{leastNs: least, mostNs: max(least, min(3*least, maxConditioningNs))}
}

// settleState is what is known at one moment of the Run.
type settleState struct {
	sinceBeginNs int64
	// passTimes are the durations of the last steadyTimes passes, in s; in a
	// closed loop the times per completed request between heartbeats.
	passTimes []float64
	// powerOld and powerNew are mean powers of the two halves of the last
	// stretch, in W; 0 = not known yet.
	powerOld, powerNew float64
}

// decide tells whether conditioning is over, whether it truly settled, and
// why.
func (r settleRule) decide(s settleState) (over, settled bool, reason string) {
	if s.sinceBeginNs < r.leastNs {
		return false, false, ""
	}
	timesOK, cv := steady(s.passTimes)
	times, power := "fewer than three passes", "power not known"
	if !math.IsNaN(cv) {
		times = fmt.Sprintf("pass time CV %.1f %%", 100*cv)
	}
	powerOK := s.powerOld > 0 && s.powerNew > 0
	if powerOK {
		drift := s.powerNew/s.powerOld - 1
		powerOK = math.Abs(drift) < powerDrift
		power = fmt.Sprintf("power drift %+.1f %%", 100*drift)
	}
	switch {
	case timesOK && powerOK:
		return true, true, times + ", " + power
	case s.sinceBeginNs < r.mostNs:
		return false, false, ""
	}
	return true, false, fmt.Sprintf("not settled after %.0f s: %s (wanted below %.0f %%), %s (wanted below %.0f %%)",
		float64(s.sinceBeginNs)/1e9, times, 100*passTimeCV, power, 100*powerDrift)
}

// steadyTimes is how many pass times must agree.
const steadyTimes = 3

// steady computes the CV of the last three times. Fewer are not steady.
func steady(times []float64) (bool, float64) {
	if len(times) < steadyTimes {
		return false, math.NaN()
	}
	last := times[len(times)-3:]
	mean := (last[0] + last[1] + last[2]) / 3
	sum := 0.0
	for _, t := range last {
		sum += (t - mean) * (t - mean)
	}
	cv := math.Sqrt(sum/2) / mean
	return cv < passTimeCV, cv
}
