package energy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Choice sorts the domains of one cell into the number that is printed first and
// the columns beside it.
type Choice struct {
	// Headline domains are added up. Empty when nothing covers what the cell uses.
	Headline []Domain
	// Checks see the same devices as a headline domain through another reading
	// (the energy counter beside the sample ring).
	Checks []Domain
	// Others each have a column of their own and are never added to anything.
	Others   []Domain
	Boundary Boundary
	// Reason says in one sentence why these.
	Reason   string
	Warnings []Warning
}

// Headline chooses: the GPUs of the deployment if the cell uses any, else the CPU
// packages. usedDevices are the devices of the deployment as the backend reported
// them; nil for a cell on CPU.
//
// All used GPUs must be covered or there is no headline: a sum that lacks a card
// would be a wrong number. Where several domains see the same device, one comes
// before the others as byPreference says. A domain inside another headline domain is
// never added to it. domains stand in the order in which the study names their
// sources; [Trace.Timed] has the period where a domain states none.
func Headline(domains []Domain, usedDevices []string) Choice {
	if len(usedDevices) > 0 {
		return headlineGPU(domains, usedDevices)
	}
	return headlineCPU(domains)
}

func headlineGPU(domains []Domain, used []string) Choice {
	var chosen []Domain
	covered := map[string]bool{}
	// A module also holds CPU and memory: only where no gpu domain exists.
	for _, kind := range []string{KindGPU, KindModule} {
		for _, d := range byPreference(domains, kind) {
			if len(d.DeviceIDs) == 0 || !subset(d.DeviceIDs, used) {
				continue
			}
			if slices.ContainsFunc(d.DeviceIDs, func(id string) bool { return covered[id] }) {
				continue
			}
			chosen = append(chosen, d)
			for _, id := range d.DeviceIDs {
				covered[id] = true
			}
		}
	}
	var missing []string
	for _, id := range used {
		if !covered[id] {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return none(domains, fmt.Sprintf("no energy source covers %s, and a sum without it would be wrong", strings.Join(missing, ", ")))
	}
	return choose(domains, chosen, "the GPUs of the deployment")
}

func headlineCPU(domains []Domain) Choice {
	type place struct{ host, devices string }
	var chosen []Domain
	seen := map[place]bool{}
	measured := map[string]bool{} // hosts with a measured package
	for _, d := range byPreference(domains, KindCPUPackage) {
		at := place{d.Host, strings.Join(slices.Sorted(slices.Values(d.DeviceIDs)), ",")}
		if len(d.DeviceIDs) == 0 {
			at.devices = d.ID
		}
		if seen[at] || (d.Estimated && measured[d.Host]) {
			continue
		}
		seen[at] = true
		measured[d.Host] = measured[d.Host] || !d.Estimated
		chosen = append(chosen, d)
	}
	if len(chosen) == 0 {
		return none(domains, "the cell uses no GPU and no energy source covers the CPU package")
	}
	return choose(domains, chosen, "the CPU packages, as the cell uses no GPU")
}

// byPreference lists the domains of a kind, best first: measured before modelled; one
// that looks all the time, then at part of it, then of which nobody knows; the smaller
// stated gain bound, then without one; the source that the study names first. Within
// one source the finer period comes first: between sources a period that was taken
// from the samples would settle it by its jitter, anew in every trial.
func byPreference(domains []Domain, kind string) []Domain {
	var out []Domain
	for _, d := range domains {
		if d.Kind == kind {
			out = append(out, d)
		}
	}
	named := map[string]int{} // where the study names a source
	for _, d := range domains {
		if _, known := named[d.Source]; !known {
			named[d.Source] = len(named)
		}
	}
	slices.SortStableFunc(out, func(a, b Domain) int {
		return cmp.Or(
			cmp.Compare(truth(a.Estimated), truth(b.Estimated)),
			cmp.Compare(looks(a), looks(b)),
			cmp.Compare(statedGain(a), statedGain(b)),
			cmp.Compare(named[a.Source], named[b.Source]),
			// An average over much more than the period blurs the edges.
			cmp.Compare(max(a.UpdateNs, a.AveragingNs/2), max(b.UpdateNs, b.AveragingNs/2)),
			strings.Compare(a.ID, b.ID),
		)
	})
	return out
}

// statedGain is the bound of the gain; of a sensor that states none it may be
// anything.
func statedGain(d Domain) float64 {
	if d.Accuracy.GainRel <= 0 {
		return math.Inf(1)
	}
	return d.Accuracy.GainRel
}

// looks ranks a sensor by the time that it looks at: all, part, nobody knows.
func looks(d Domain) int64 {
	switch duty, known := d.Duty(0); {
	case !known:
		return 2
	case duty < 1:
		return 1
	}
	return 0
}

// choose sorts the remaining domains around the chosen ones.
func choose(domains, chosen []Domain, reason string) Choice {
	c := Choice{Reason: reason}
	for _, d := range chosen {
		if !insideAny(domains, d, chosen) {
			c.Headline = append(c.Headline, d)
		}
	}
	slices.SortFunc(c.Headline, func(a, b Domain) int { return strings.Compare(a.ID, b.ID) })
	c.Boundary = BoundaryOf(c.Headline...)
	for _, d := range domains {
		switch {
		case slices.ContainsFunc(c.Headline, func(h Domain) bool { return h.ID == d.ID }):
		case slices.ContainsFunc(c.Headline, func(h Domain) bool {
			return h.Kind == d.Kind && h.Host == d.Host && len(d.DeviceIDs) > 0 && sameSet(h.DeviceIDs, d.DeviceIDs)
		}):
			c.Checks = append(c.Checks, d)
		default:
			c.Others = append(c.Others, d)
		}
	}
	for _, d := range c.Headline {
		if d.Kind == KindModule {
			c.Warnings = append(c.Warnings, Warning{Code: CodeModuleScope, Severity: SeverityWarning, Domain: d.ID,
				Message: "the sensor covers the whole module: GPU, CPU and memory together"})
		}
		if d.Estimated {
			c.Warnings = append(c.Warnings, Warning{Code: CodeEstimated, Severity: SeverityWarning, Domain: d.ID,
				Message: "the joules are modelled, not measured"})
		}
	}
	return c
}

func none(domains []Domain, reason string) Choice {
	return Choice{Others: slices.Clone(domains), Reason: reason,
		Warnings: []Warning{{Code: CodeNoHeadline, Severity: SeverityWarning, Message: reason}}}
}

// IsCheckOf tells whether d is a counter that its source reads beside power samples of the
// same devices: a check on them that may be read seldom, as NVML's is, of which a call
// costs 6 ms of a CPU. Its own figures over single windows are rough then by design.
func (d Domain) IsCheckOf(first Domain) bool {
	return d.Reading == ReadingCounter && first.Reading != ReadingCounter && !first.Estimated &&
		d.Source == first.Source && d.Host == first.Host && d.Kind == first.Kind && len(d.DeviceIDs) > 0 && sameSet(d.DeviceIDs, first.DeviceIDs)
}

// insideAny reports whether d lies, directly or through others, in one of set.
func insideAny(domains []Domain, d Domain, set []Domain) bool {
	parent := map[string]string{}
	for _, x := range domains {
		parent[x.ID] = x.ContainedIn
	}
	at := d.ContainedIn
	for range domains { // no longer than the list: a circle in the description ends too
		if at == "" || at == d.ID {
			return false
		}
		if slices.ContainsFunc(set, func(s Domain) bool { return s.ID == at }) {
			return true
		}
		at = parent[at]
	}
	return false
}

func subset(ids, of []string) bool {
	for _, id := range ids {
		if !slices.Contains(of, id) {
			return false
		}
	}
	return true
}

func sameSet(a, b []string) bool { return subset(a, b) && subset(b, a) }

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
