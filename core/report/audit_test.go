package report

import (
	"testing"

	"github.com/llenergymeasure/llem/core/gate"
	"github.com/llenergymeasure/llem/core/result"
)

func TestAuditsTakeTheRun(t *testing.T) {
	ratio := func(v float64) *float64 { return &v }
	trial := func(run *float64) result.Trial {
		return result.Trial{Audit: []gate.Audit{
			{Domain: "ring", Check: "counter", FromNs: 40, ToNs: 60, Ratio: ratio(0.5)}, // a window, less sharp
			{Domain: "ring", Check: "counter", FromNs: 0, ToNs: 100, Ratio: run},
		}}
	}
	got := audits([]result.Trial{trial(ratio(1.001)), trial(nil), trial(ratio(0.998)), {}})
	if len(got) != 1 || got[0].Runs != 2 || got[0].Without != 1 || *got[0].LeastRatio != 0.998 || *got[0].MostRatio != 1.001 {
		t.Errorf("%+v", got)
	}
}
