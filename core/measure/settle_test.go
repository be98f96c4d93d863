package measure

import (
	"strings"
	"testing"
)

func TestSettleRule(t *testing.T) {
	rule := newSettleRule(3)
	steadyTimes := []float64{0.5, 0.51, 0.5}
	for _, c := range []struct {
		name          string
		state         settleState
		over, settled bool
	}{
		{"too early", settleState{sinceBeginNs: 2e9, passTimes: steadyTimes, powerOld: 100, powerNew: 100}, false, false},
		{"settled", settleState{sinceBeginNs: 3e9, passTimes: steadyTimes, powerOld: 100, powerNew: 101}, true, true},
		{"power drifts", settleState{sinceBeginNs: 3e9, passTimes: steadyTimes, powerOld: 100, powerNew: 103}, false, false},
		{"power unknown", settleState{sinceBeginNs: 3e9, passTimes: steadyTimes}, false, false},
		{"times jump", settleState{sinceBeginNs: 3e9, passTimes: []float64{0.5, 0.9, 0.5}, powerOld: 100, powerNew: 100}, false, false},
		{"few passes", settleState{sinceBeginNs: 3e9, passTimes: []float64{0.5}, powerOld: 100, powerNew: 100}, false, false},
		{"cap", settleState{sinceBeginNs: 9e9, passTimes: steadyTimes, powerOld: 100, powerNew: 103}, true, false},
	} {
		over, settled, reason := rule.decide(c.state)
		if over != c.over || settled != c.settled {
			t.Errorf("%s: over=%v settled=%v, want %v %v", c.name, over, settled, c.over, c.settled)
		}
		if over && reason == "" {
			t.Errorf("%s: no reason given", c.name)
		}
		if over && !settled && !strings.Contains(reason, "+3.0 %") {
			t.Errorf("%s: the reason %q does not name the drift", c.name, reason)
		}
	}
	if long := newSettleRule(100); long.mostNs != maxConditioningNs {
		t.Errorf("conditioning of 100 s may last %d ns, want the cap", long.mostNs)
	}
	if longest := newSettleRule(300); longest.mostNs != longest.leastNs {
		t.Errorf("a study that asks for more than the cap gets %d ns", longest.mostNs)
	}
}
