package measure

import (
	"testing"

	"github.com/llenergymeasure/llem/core/environ"
	"github.com/llenergymeasure/llem/sdk"
)

// The CPU time of a server that was there before is the deployment's if the backend
// names it: at both ends of the Run. The first process stands for one, with all that
// came of it, which is more than this one's at any time.
func TestTheTimeOfAnAttachedServerIsOurs(t *testing.T) {
	var w watch
	report := sdk.LoadReport{Devices: []sdk.DeviceUse{{ID: "cpu", Kind: "cpu", PID: 1}}}
	w.runBegins(nil, nil, report)
	w.runEnds(t.Context(), nil, nil, report)
	own := environ.BusyNow()
	if own.Err != nil {
		t.Fatal(own.Err)
	}
	for edge, busy := range map[string]environ.Busy{"begin": w.busyBegin, "end": w.busyEnd} {
		if busy.Err != nil || busy.OwnTicks <= own.OwnTicks {
			t.Errorf("at the Run's %s %d ticks are ours, and %d without what the backend names: %v", edge, busy.OwnTicks, own.OwnTicks, busy.Err)
		}
	}
}
