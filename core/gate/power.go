package gate

import (
	"math"

	"github.com/llenergymeasure/llem/core/energy"
)

// Limits of plausible power, as ML.ENERGY checks its own data.
const (
	mostOfLimit      = 1.1
	absurdOfLimit    = 1.7
	leastOfLimit     = 0.1 // 70 W of an H100's 700 W
	mostJPerToken    = 100.0
	aboveIdleW       = 10.0
	auditPct         = 5.0 // energy.CrossCheck's own limits
	auditFatalPct    = 15.0
	mostClockStepMs  = 1.0
	mostOthersPct    = 5.0
	mostThrottledPct = 1.0
)

// implausiblePower looks at means only: 18 % of the samples of a GPU at its
// limit lie above it, and its mean does not.
func implausiblePower(j *judging) {
	for i, w := range j.Windows {
		if w.EnergyJ != nil && w.OutputTokens > 0 {
			j.saw()
			if each := *w.EnergyJ / float64(w.OutputTokens); beyond(each, mostJPerToken) {
				j.find(energy.SeverityWarning, "", each, "window %d needs %.4g J for each output token; above %v J something is counted wrong", i, each, mostJPerToken)
			}
		}
		for _, part := range w.Energy {
			j.meanPower(i, part)
		}
	}
}

// meanPower holds a domain's mean against the limits of the GPUs in it.
func (j *judging) meanPower(window int, part energy.Window) {
	domain, ok := j.domain(part.Domain)
	if !ok || domain.Kind != energy.KindGPU || len(domain.DeviceIDs) == 0 {
		return // a CPU package states no limit; a module has other parts, too
	}
	limitW := 0.0
	for _, id := range domain.DeviceIDs {
		d, ok := j.device(id)
		limits := d.limits()
		if !ok || len(limits) == 0 {
			j.unknown("the power limit of %s is not known", id)
			return
		}
		limitW += float64(limits[len(limits)-1]) / 1000
	}
	if !(limitW > 0) {
		j.unknown("the power limit of %s reads %g W", part.Domain, limitW)
		return
	}
	j.saw()
	of := part.MeanPowerW / limitW
	switch {
	case beyond(of, absurdOfLimit):
		j.find(energy.SeverityFatal, part.Domain, of, "%s drew %.0f W on average in window %d, %.2f times its limit of %.0f W; no card can", part.Domain, part.MeanPowerW, window, of, limitW)
	case of > mostOfLimit:
		j.find(energy.SeverityWarning, part.Domain, of, "%s drew %.0f W on average in window %d, %.2f times its limit of %.0f W", part.Domain, part.MeanPowerW, window, of, limitW)
	case of < leastOfLimit:
		j.find(energy.SeverityWarning, part.Domain, 1-of, "%s drew %.0f W on average in window %d under load, below a tenth of its limit of %.0f W", part.Domain, part.MeanPowerW, window, limitW)
	}
}

func (j *judging) domain(id string) (Domain, bool) {
	for _, d := range j.Headline {
		if d.ID == id {
			return d, true
		}
	}
	return Domain{}, false
}

// counterVsPower passes on what the audits found.
func counterVsPower(j *judging) {
	for _, d := range j.Headline {
		if len(j.GPUs) > 0 && !j.audited(d.ID) {
			j.unknown("%s has no second reading to be held against", d.ID)
		}
	}
	if len(j.Audits) == 0 && len(j.GPUs) == 0 {
		j.skip() // nothing but a GPU has two readings
	}
	defer func() { j.subject = "" }()
	for _, a := range j.Audits {
		j.subject = a.Domain
		if a.Ratio == nil {
			j.unknown("%s", a.Reason)
			continue
		}
		if len(a.Warnings) == 0 && !a.sharp() {
			j.unknown("%s", a.blunt())
			continue
		}
		j.saw()
		for _, w := range a.Warnings {
			j.find(w.Severity, a.Domain, math.Abs(*a.Ratio-1), "over %.1f s %s", float64(a.ToNs-a.FromNs)/1e9, w.Message)
		}
	}
}

func (j *judging) audited(domain string) bool {
	for _, a := range j.Audits {
		if a.Domain == domain {
			return true
		}
	}
	return false
}

func clockStep(j *judging) {
	if j.ClockStepNs == nil {
		return
	}
	j.saw()
	if ms := math.Abs(float64(*j.ClockStepNs)) / 1e6; ms > mostClockStepMs {
		j.find(energy.SeverityWarning, "", ms, "the wall clock was set by %.1f ms during the trial; stamps that the driver gives in wall time may be off by that", float64(*j.ClockStepNs)/1e6)
	}
}

// hostBusy names others, and what holds our own processes back.
func hostBusy(j *judging) {
	if j.Host == nil {
		return
	}
	if j.Host.OthersShare == nil {
		j.unknown("%s", j.Host.Absent)
	} else {
		j.saw()
		if pct := 100 * *j.Host.OthersShare; beyond(pct, mostOthersPct) {
			j.find(energy.SeverityWarning, "", pct, "other processes took %.1f %% of all CPU time during the Run (limit %v %%)", pct, mostOthersPct)
		}
	}
	if j.Host.ThrottledNs == nil || j.RunNs <= 0 {
		return // most machines have no quota to be held back by
	}
	if pct := 100 * float64(*j.Host.ThrottledNs) / float64(j.RunNs); pct > mostThrottledPct {
		j.find(energy.SeverityWarning, "cgroup", pct, "the control group's CPU quota held processes back for %.2f s, %.1f %% of the Run (limit %v %%)", float64(*j.Host.ThrottledNs)/1e9, pct, mostThrottledPct)
	}
}
