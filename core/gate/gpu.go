package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
)

// Limits of a GPU's state.
const (
	mostHeldPct      = 1.0 // of the windows' time
	mostClockCVPct   = 3.0
	mostDriftC       = 3
	coldestC         = 20
	hottestC         = 95
	badReadingsPct   = 5.0
	leastReadings    = 3
	mostRiseC        = 1.0
	reasonPowerCap   = 0x4  // bits of NVML's mask
	reasonThermal    = 0x60 // software and hardware
	reasonPowerBrake = 0x80
)

// rise is what a driver's count of nanoseconds rose by over the trial.
func (d Device) rise(of func(*device.Snapshot) *int64) (ns int64, reason string) {
	if d.Before == nil || d.After == nil || of(d.Before) == nil || of(d.After) == nil {
		return 0, fmt.Sprintf("%s does not count it", d.Facts.UUID)
	}
	if ns = *of(d.After) - *of(d.Before); ns < 0 {
		return 0, fmt.Sprintf("%s counted backwards: its driver was loaded anew", d.Facts.UUID)
	}
	return ns, ""
}

// held judges for how long the clocks were held back, as a percentage of the
// windows' time. All of it is taken to lie in the windows. Where the driver does
// not count, the share of readings in the windows that show the bits serves, if
// any does: that none does proves nothing.
func (j *judging) held(d Device, bits uint64, counts ...func(*device.Snapshot) *int64) (pct float64, how string, ok bool) {
	windowsNs := j.windowsNs()
	if windowsNs <= 0 {
		j.unknown("the trial has no window")
		return 0, "", false
	}
	var sum int64
	reason := ""
	for _, of := range counts {
		ns, why := d.rise(of)
		sum, reason = sum+ns, max(reason, why)
	}
	if reason == "" {
		return 100 * float64(sum) / float64(windowsNs), fmt.Sprintf("for %.2f s", float64(sum)/1e9), true
	}
	shown, readings := 0, 0
	for _, r := range j.within(d) {
		if r.Reasons != nil {
			readings++
			if *r.Reasons&bits != 0 {
				shown++
			}
		}
	}
	if readings == 0 {
		j.unknown("%s", reason)
		return 0, "", false
	}
	if shown == 0 {
		j.unknown("%s, and that none of %d readings shows it proves nothing", reason, readings)
		return 0, "", false
	}
	return 100 * float64(shown) / float64(readings), fmt.Sprintf("in %d of %d readings", shown, readings), true
}

// within is the readings inside any window.
func (j *judging) within(d Device) []device.Reading {
	return slices.DeleteFunc(slices.Clone(d.Readings), func(r device.Reading) bool {
		return !slices.ContainsFunc(j.Windows, func(w Span) bool { return w.holds(r) })
	})
}

func (w Span) holds(r device.Reading) bool { return r.MonoNs >= w.FromNs && r.MonoNs <= w.ToNs }

func thermalThrottle(j *judging) {
	j.gpus(func(d Device) {
		pct, how, ok := j.held(d, reasonThermal,
			func(s *device.Snapshot) *int64 { return s.SWThermalNs }, func(s *device.Snapshot) *int64 { return s.HWThermalNs })
		if !ok {
			return
		}
		j.saw()
		if pct > mostHeldPct {
			j.find(energy.SeverityFatal, d.Facts.UUID, pct, "heat held the clocks of %s back %s, %.1f %% of the windows' time (limit %v %%)", d.Facts.UUID, how, pct, mostHeldPct)
		}
	})
}

func powerBrake(j *judging) {
	j.gpus(func(d Device) {
		pct, how, ok := j.held(d, reasonPowerBrake, func(s *device.Snapshot) *int64 { return s.PowerBrakeNs })
		if !ok {
			return
		}
		j.saw()
		if pct > 0 {
			j.find(energy.SeverityFatal, d.Facts.UUID, pct, "the power brake held the clocks of %s back %s: the server's supply asked for it", d.Facts.UUID, how)
		}
	})
}

// powerCapActive is normal for a compute-bound load at the card's own limit, and
// a choice of somebody's at a lower one.
func powerCapActive(j *judging) {
	j.gpus(func(d Device) {
		pct, how, ok := j.held(d, reasonPowerCap, func(s *device.Snapshot) *int64 { return s.PowerCapNs })
		if !ok {
			return
		}
		j.saw()
		if pct <= mostHeldPct {
			return
		}
		limits, standard := d.limits(), d.Facts.DefaultLimitMilliW
		switch {
		case len(limits) == 0 || standard == nil:
			j.find(energy.SeverityWarning, d.Facts.UUID, pct, "the power limit held the clocks of %s back %s; whether it is the card's default is not known", d.Facts.UUID, how)
		case slices.Min(limits) < *standard:
			j.find(energy.SeverityWarning, d.Facts.UUID, pct, "a power limit of %s W, below the default of %s W, held the clocks of %s back %s", watts(slices.Min(limits)), watts(*standard), d.Facts.UUID, how)
		default:
			j.find(energy.SeverityInfo, d.Facts.UUID, pct, "the default power limit of %s W held the clocks of %s back %s, as is usual for a load bound by arithmetic", watts(*standard), d.Facts.UUID, how)
		}
	})
}

// limits are the enforced power limits seen over the trial, in milliwatts.
func (d Device) limits() []int64 {
	var out []int64
	for _, r := range d.all() {
		if r.LimitMilliW != nil {
			out = append(out, *r.LimitMilliW)
		}
	}
	return out
}

// all readings in order of time, with those of the snapshots.
func (d Device) all() []device.Reading {
	var out []device.Reading
	if d.Before != nil {
		out = append(out, d.Before.Reading)
	}
	out = append(out, d.Readings...)
	if d.After != nil {
		out = append(out, d.After.Reading)
	}
	return out
}

func watts(milliW int64) string { return fmt.Sprintf("%.4g", float64(milliW)/1000) }

func powerLimitChanged(j *judging) {
	j.gpus(func(d Device) {
		limits := d.limits()
		if len(limits) < 2 {
			j.unknown("the power limit of %s was read %d times", d.Facts.UUID, len(limits))
			return
		}
		j.saw()
		if low, high := slices.Min(limits), slices.Max(limits); low != high {
			j.find(energy.SeverityFatal, d.Facts.UUID, float64(high-low), "the power limit of %s moved between %s W and %s W during the trial", d.Facts.UUID, watts(low), watts(high))
		}
	})
}

// clocksMoved judges each window for itself. A GPU at its power limit all the
// time has a clock for each kind of work, and is no worse a sample for it.
func clocksMoved(j *judging) {
	j.gpus(func(d Device) {
		for i, w := range j.Windows {
			var sm, memory []float64
			capped := 0
			for _, r := range d.Readings {
				if w.holds(r) {
					sm, memory = push(sm, r.SMClockMHz), push(memory, r.MemoryClockMHz)
					if r.Reasons != nil && *r.Reasons&reasonPowerCap != 0 {
						capped++
					}
				}
			}
			if len(sm) < leastReadings {
				j.unknown("window %d holds %d readings of the clocks of %s; %d are the least", i, len(sm), d.Facts.UUID, leastReadings)
				continue
			}
			j.saw()
			mean, cv := spread(sm)
			if pct := 100 * cv; beyond(pct, mostClockCVPct) {
				severity, why := energy.SeverityWarning, ""
				if capped == len(sm) {
					severity, why = energy.SeverityInfo, "; the power limit moves them with the load"
				}
				j.find(severity, d.Facts.UUID, pct, "the SM clock of %s spread by %.1f %% around %.0f MHz in window %d (limit %v %%)%s", d.Facts.UUID, pct, mean, i, mostClockCVPct, why)
			}
			if len(memory) < leastReadings {
				j.unknown("window %d holds %d readings of the memory clock of %s; %d are the least", i, len(memory), d.Facts.UUID, leastReadings)
			}
			if len(memory) > 0 && slices.Min(memory) != slices.Max(memory) {
				j.find(energy.SeverityWarning, d.Facts.UUID, 0, "the memory clock of %s moved between %.0f and %.0f MHz in window %d", d.Facts.UUID, slices.Min(memory), slices.Max(memory), i)
			}
		}
	})
}

func push(list []float64, v *int64) []float64 {
	if v == nil {
		return list
	}
	return append(list, float64(*v))
}

// spread is the mean and the coefficient of variation.
func spread(x []float64) (mean, cv float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		cv += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(cv) / mean
}

// meanError is the mean and its standard error; 0 for one value, of which nothing
// is known.
func meanError(x []float64) (mean, sd float64) {
	if len(x) == 1 {
		return x[0], 0
	}
	mean, cv := spread(x)
	return mean, math.Abs(mean*cv) / math.Sqrt(float64(len(x)))
}

// tempDrift judges the change over each window, and all readings of the Run for
// being possible at all. The temperature follows the phases of a load within
// fractions of a second, by 10 °C and more, so a drift is what the last third of
// the window has above the first, beyond twice the error of their means.
func tempDrift(j *judging) {
	j.gpus(func(d Device) {
		outside, readings := 0, 0
		for _, r := range d.Readings {
			if t := r.TemperatureC; t != nil {
				readings++
				if *t < coldestC || *t > hottestC {
					outside++
				}
			}
		}
		if readings > 0 && 100*float64(outside) >= badReadingsPct*float64(readings) && outside > 0 {
			j.find(energy.SeverityFatal, d.Facts.UUID, float64(outside), "%d of %d temperatures of %s lie outside %d to %d °C", outside, readings, d.Facts.UUID, coldestC, hottestC)
		}
		for i, w := range j.Windows {
			var t []float64
			for _, r := range d.Readings {
				if w.holds(r) {
					t = push(t, r.TemperatureC)
				}
			}
			if len(t) < leastReadings {
				j.unknown("window %d holds %d temperatures of %s; %d are the least", i, len(t), d.Facts.UUID, leastReadings)
				continue
			}
			j.saw()
			third := len(t) / 3
			first, error1 := meanError(t[:third])
			last, error2 := meanError(t[len(t)-third:])
			if drift := math.Abs(last - first); drift > mostDriftC && drift > 2*math.Hypot(error1, error2) {
				j.find(energy.SeverityWarning, d.Facts.UUID, drift, "the temperature of %s went from %.1f to %.1f °C in window %d (limit %d °C)", d.Facts.UUID, first, last, i, mostDriftC)
			}
		}
	})
}

// notIdleBefore looks at the GPU before anything of ours is on it.
func notIdleBefore(j *judging) {
	j.gpus(func(d Device) {
		if d.Before == nil || d.Before.Reading.UtilisationPct == nil {
			j.unknown("the utilisation of %s before the load is not known", d.Facts.UUID)
		} else if j.saw(); *d.Before.Reading.UtilisationPct > 0 {
			j.find(energy.SeverityWarning, d.Facts.UUID, float64(*d.Before.Reading.UtilisationPct), "%s was in use before the load: utilisation %d %%", d.Facts.UUID, *d.Before.Reading.UtilisationPct)
		}
		if d.PowerBeforeW == nil || d.ContextIdleW == nil {
			j.unknown("the power of %s before the load, or idle with the model loaded, is not known", d.Facts.UUID)
		} else if over := *d.PowerBeforeW - *d.ContextIdleW; beyond(over, aboveIdleW) {
			j.find(energy.SeverityWarning, d.Facts.UUID, over, "%s drew %.0f W before the load and %.0f W idle with the model loaded; %v W more are allowed", d.Facts.UUID, *d.PowerBeforeW, *d.ContextIdleW, aboveIdleW)
		}
	})
}

// notCooled looks at where a cold Run began.
func notCooled(j *judging) {
	c := j.Cooldown
	if c == nil {
		j.skip()
		return
	}
	if len(c.Silent) > 0 {
		j.unknown("whether %s had cooled is not known: no temperature", strings.Join(c.Silent, ", "))
	}
	if c.StartC == nil || c.EndC == nil {
		j.unknown("no device tells its temperature")
		return
	}
	j.saw()
	if rise := *c.EndC - *c.StartC; beyond(rise, mostRiseC) {
		j.find(energy.SeverityWarning, "", rise, "after the cooldown a GPU had %.0f °C and %.0f °C before its load; %v °C more are allowed", *c.EndC, *c.StartC, mostRiseC)
	}
}
