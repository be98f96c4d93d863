package result

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/core/energy"
)

func TestNotRankedBy(t *testing.T) {
	fatal := func(code string) energy.Warning { return energy.Warning{Code: code, Severity: energy.SeverityFatal} }
	mild := energy.Warning{Code: "not_warm", Severity: energy.SeverityWarning}
	window := []Window{{Warnings: []energy.Warning{mild, fatal("low_coverage"), fatal("mig_on")}}}
	for _, c := range []struct {
		name  string
		trial Trial
		want  []string
	}{
		{"counts", Trial{Ranked: true, Warnings: []energy.Warning{mild}, Windows: []Window{{Warnings: []energy.Warning{mild}}}}, nil},
		{"each code once", Trial{Warnings: []energy.Warning{fatal("mig_on"), mild}, Windows: window}, []string{"mig_on", "low_coverage"}},
		{"a window's is enough", Trial{Ranked: true, Windows: window}, []string{"low_coverage", "mig_on"}},
		{"the record says no more", Trial{Windows: []Window{{}}}, []string{"not_ranked"}},
		{"nothing measured", Trial{Ranked: true}, []string{"no_windows"}},
	} {
		if diff := cmp.Diff(c.want, c.trial.NotRankedBy()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
