package energy

import (
	"fmt"
	"math"
	"strings"
)

// Total adds the windows of several domains over one span, such as the GPUs of a
// deployment. domains and windows run in parallel.
//
// Energy and power add. Random errors of different sensors are independent and
// add in quadrature; gain, offset and aliasing add as bounds, since
// sensors of one make share their cause and see loads in step. The least coverage counts. Domains that contain one another
// and windows of different spans are refused.
func Total(domains []Domain, windows []Window) (Window, Boundary, error) {
	if len(domains) == 0 || len(domains) != len(windows) {
		return Window{}, Boundary{}, fmt.Errorf("adding energy windows: %d domains and %d windows; need as many of each, at least one", len(domains), len(windows))
	}
	out := Window{FromNs: windows[0].FromNs, ToNs: windows[0].ToNs, CoverageRatio: 1}
	var ids, methods []string
	var random, gain, alias float64
	seen := map[string]bool{}
	for i, w := range windows {
		d := domains[i]
		if w.Domain != d.ID {
			return Window{}, Boundary{}, fmt.Errorf("adding energy windows: window %d is of %q, its domain is %q", i, w.Domain, d.ID)
		}
		if w.FromNs != out.FromNs || w.ToNs != out.ToNs {
			return Window{}, Boundary{}, fmt.Errorf("adding energy windows: %q covers %d to %d ns, %q covers %d to %d ns", windows[0].Domain, out.FromNs, out.ToNs, w.Domain, w.FromNs, w.ToNs)
		}
		if seen[d.ID] {
			return Window{}, Boundary{}, fmt.Errorf("adding energy windows: %q comes twice", d.ID)
		}
		if insideAny(domains, d, domains) {
			return Window{}, Boundary{}, fmt.Errorf("adding energy windows: %q is already inside another of the domains (contained_in %q)", d.ID, d.ContainedIn)
		}
		seen[d.ID] = true
		out.EnergyJ += w.EnergyJ
		out.MeanPowerW += w.MeanPowerW
		out.OffsetW += w.OffsetW
		out.Samples += w.Samples
		out.CoverageRatio = min(out.CoverageRatio, w.CoverageRatio)
		out.Estimated = out.Estimated || w.Estimated
		out.Warnings = append(out.Warnings, w.Warnings...)
		random = math.Hypot(random, w.RandomRel*w.EnergyJ)
		gain += w.GainRel * w.EnergyJ
		alias += w.AliasRel * w.EnergyJ
		ids = append(ids, w.Domain)
		if len(methods) == 0 || methods[len(methods)-1] != w.Method {
			methods = append(methods, w.Method)
		}
	}
	if out.EnergyJ > 0 {
		out.RandomRel, out.GainRel, out.AliasRel = random/out.EnergyJ, gain/out.EnergyJ, alias/out.EnergyJ
	}
	out.Domain, out.Method = strings.Join(ids, "+"), strings.Join(methods, "+")
	return out, BoundaryOf(domains...), nil
}
