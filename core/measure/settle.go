package measure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/llenergymeasure/llem/core/device"
	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/core/result"
	"github.com/llenergymeasure/llem/sdk"
)

// settleRule is when conditioning is over: after leastNs, as soon as all criteria
// hold; at mostNs in any case.
type settleRule struct {
	leastNs, mostNs int64
}

// The criteria of "settled", looked at over the last settleStretchNs or the whole
// conditioning if that is shorter. Power must move by less than powerSlope of its
// mean in settleStretchNs, however short the stretch: a short look has to
// extrapolate, and a noisy one then does not pass. That costs little, since the
// cap of a short conditioning is short.
const (
	settlePasses    = 3
	passTimeCV      = 0.02
	powerSlope      = 0.01
	temperatureRise = 1.0 // °C
	settleStretchNs = int64(30e9)
	// slopeErrors is how many standard errors of the slope count as chance: more
	// than two, because neighbouring means of a random load are alike.
	slopeErrors = 3
)

// Conditioning is capped at three times its least time, so that a quick look on a
// noisy machine stays quick, and at maxConditioningNs: that is the cap for the
// 60 s of the profiles standard and publication. A study that asks for more gets
// what it asks for.
const (
	capTimes          = 3
	maxConditioningNs = int64(180e9)
	// advisedLoadNs is the least time under load after which drift can be judged
	// at all; the profile quick stays below it and says so.
	advisedLoadNs = int64(10e9)
)

func newSettleRule(conditioningS float64) settleRule {
	least := int64(conditioningS * 1e9)
	return settleRule{leastNs: least, mostNs: max(least, min(capTimes*least, maxConditioningNs))}
}

// settleState is what is known at one moment of the Run.
type settleState struct {
	sinceBeginNs int64
	// open: requests arrive by a schedule, which may be random.
	open bool
	// passes that are over; in a loop, rounds of all requests in flight.
	passes int64
	// passTimes are the durations of the last three passes, in s; in a closed loop
	// the times per request in three parts of the stretch, and in an open one, whose
	// times are those of its arrivals, the requests in flight. Fewer = not known.
	passTimes []float64
	// countingRel is how far a part's time may be off, relative, because requests
	// in step complete all at once; 0 for passes.
	countingRel float64
	// power is the slope of the headline's mean power; nil = not known.
	power *powerTrend
	// temperature is the greatest change of a device's temperature over the
	// stretch; nil = not known. silent are the devices that did not tell theirs.
	temperature *drift
	silent      []string
}

// decide tells whether conditioning is over, and what the record says of it but
// for its stamps.
func (r settleRule) decide(s settleState) (over bool, c result.Conditioning) {
	if s.sinceBeginNs < r.leastNs {
		return false, c
	}
	c = s.judge()
	if !c.Settled && s.sinceBeginNs < r.mostNs {
		return false, c
	}
	prefix := "settled"
	if !c.Settled {
		prefix = "not settled"
	}
	loaded := fmt.Sprintf("%s after %.1f s under load", prefix, float64(s.sinceBeginNs)/1e9)
	if s.sinceBeginNs < advisedLoadNs {
		loaded += fmt.Sprintf(" (a quick look: %.0f s or more are advised)", float64(advisedLoadNs)/1e9)
	}
	c.Reason = loaded + ": " + c.Reason
	return true, c
}

// judge holds every criterion against its threshold; Reason names them all.
// Temperature alone may be unknown: not every device has a sensor for it. Those
// that tell are judged.
func (s settleState) judge() result.Conditioning {
	c := result.Conditioning{Passes: s.passes, Settled: s.passes >= settlePasses, TemperatureUnknown: s.silent}
	words := []string{fmt.Sprintf("%d passes (wanted %d)", s.passes, settlePasses)}
	hold := func(ok bool, format string, args ...any) {
		c.Settled = c.Settled && ok
		words = append(words, fmt.Sprintf(format, args...))
	}
	what := "pass time"
	if s.open {
		what = "requests in flight"
	}
	if cv := variation(s.passTimes); math.IsNaN(cv) {
		hold(false, "%s not known", what)
	} else {
		c.PassTimeCV = &cv
		limit := passTimeCV + s.countingRel
		hold(cv < limit, "%s CV %.2f %% (wanted below %.1f %%)", what, 100*cv, 100*limit)
	}
	if p := s.power; p == nil {
		hold(false, "power not known")
	} else {
		slope, limit := p.slopeRelPerS*float64(settleStretchNs)/1e9, powerSlope
		c.PowerSlopeRel, c.PowerW, c.StretchNs = &slope, &p.meanW, p.stretchNs
		words := "power slope %+.2f %% in 30 s, seen over %.1f s (wanted below %.0f %%)"
		if s.open {
			// Power follows the arrivals: a slope that they explain is no drift.
			limit += slopeErrors * p.slopeErrorRelPerS * float64(settleStretchNs) / 1e9
			words = "power slope %+.2f %% in 30 s, seen over %.1f s (wanted below %.1f %%, which random arrivals let it come to)"
		}
		hold(math.Abs(slope) < limit, words, 100*slope, float64(p.stretchNs)/1e9, 100*limit)
	}
	if s.temperature == nil {
		words = append(words, "temperature not known")
	} else {
		d := *s.temperature
		c.TemperatureRiseC = &d.riseC
		hold(math.Abs(d.riseC)-d.errorC <= temperatureRise, "temperature %+.1f ± %.1f °C (wanted at most %.0f °C)", d.riseC, d.errorC, temperatureRise)
		if len(s.silent) > 0 {
			words = append(words, "temperature of "+strings.Join(s.silent, ", ")+" not known")
		}
	}
	c.Reason = strings.Join(words, ", ")
	return c
}

// variation is the CV of three times; NaN of fewer, or of none that is positive.
func variation(times []float64) float64 {
	if len(times) < settlePasses {
		return math.NaN()
	}
	mean := 0.0
	for _, t := range times {
		mean += t / float64(len(times))
	}
	sum := 0.0
	for _, t := range times {
		sum += (t - mean) * (t - mean)
	}
	return math.Sqrt(sum/float64(len(times)-1)) / mean
}

// powerTrend is how mean power moves over a stretch of time.
type powerTrend struct {
	meanW        float64
	slopeRelPerS float64 // of the mean
	stretchNs    int64
	// slopeErrorRelPerS is the slope's standard error by the scatter about it.
	slopeErrorRelPerS float64
}

// A trend is drawn through means over trendBinNs, through six of a conditioning
// that is shorter than six of them, and never through means of fewer than two
// updates of the sensor or through fewer than three.
const (
	trendBinNs   = int64(1e9)
	trendBins    = 6
	leastBins    = 3
	periodsInBin = 2
)

// trend looks at the recordings between two stamps, at most the last
// settleStretchNs of them; nil if they do not tell. The first reading is left out:
// it holds time from before the load, and would tilt a short look.
func trend(headline []*energy.Trace, fromNs, untilNs int64) *powerTrend {
	first := int64(0)
	for _, t := range headline {
		first = max(first, t.PeriodNs(), t.Domain.AveragingNs)
	}
	stretch := min(untilNs-fromNs-first, settleStretchNs)
	bin := min(trendBinNs, stretch/trendBins)
	for _, t := range headline {
		bin = max(bin, periodsInBin*t.PeriodNs())
	}
	if len(headline) == 0 || bin <= 0 || stretch/bin < leastBins {
		return nil
	}
	var means []float64
	for at := untilNs - stretch/bin*bin; at < untilNs; at += bin {
		sum := 0.0
		for _, t := range headline {
			w, err := t.Window(at, at+bin)
			if err != nil {
				return nil
			}
			sum += w.MeanPowerW
		}
		means = append(means, sum)
	}
	mean, slope, slopeError := leastSquaresSlope(means, float64(bin)/1e9)
	if !(mean > 0) {
		return nil
	}
	return &powerTrend{meanW: mean, slopeRelPerS: slope / mean, slopeErrorRelPerS: slopeError / mean, stretchNs: int64(len(means)) * bin}
}

// leastSquaresSlope fits a line through values that lie step apart. It needs
// three.
func leastSquaresSlope(values []float64, step float64) (mean, slope, slopeError float64) {
	centre := float64(len(values)-1) / 2
	var sxy, sxx float64
	for i, v := range values {
		x := float64(i) - centre
		mean += v / float64(len(values))
		sxy += x * v
		sxx += x * x
	}
	slope = sxy / sxx
	scatter := 0.0
	for i, v := range values {
		off := v - mean - slope*(float64(i)-centre)
		scatter += off * off
	}
	return mean, slope / step, math.Sqrt(scatter/float64(len(values)-2)/sxx) / step
}

// drift is a change of temperature in °C with two standard errors of it.
type drift struct{ riseC, errorC float64 }

// warming is the change of temperature from the first to the last third of a
// stretch, of the device where it is greatest; nil if none tells it for most of
// the stretch. silent are those that do not. Single readings would not do: on a GPU at its power
// cap they follow the phases of the load by 10 °C and more.
func warming(devices map[string][]device.Reading, fromNs, untilNs int64) (greatest *drift, silent []string) {
	for id, readings := range devices {
		var known []float64
		var first, last int64
		for _, r := range readings {
			if r.TemperatureC == nil || r.MonoNs < fromNs || r.MonoNs > untilNs {
				continue
			}
			if len(known) == 0 {
				first = r.MonoNs
			}
			known, last = append(known, float64(*r.TemperatureC)), r.MonoNs
		}
		if len(known) < 2 || last-first < (untilNs-fromNs)/2 {
			silent = append(silent, id)
			continue
		}
		third := max(1, len(known)/3)
		before, beforeSE := meanError(known[:third])
		after, afterSE := meanError(known[len(known)-third:])
		d := drift{riseC: after - before, errorC: 2 * math.Hypot(beforeSE, afterSE)}
		if greatest == nil || math.Abs(d.riseC)-d.errorC > math.Abs(greatest.riseC)-greatest.errorC {
			greatest = &d
		}
	}
	slices.Sort(silent)
	return greatest, silent
}

// meanError is a mean with its standard error; 0 for a single value, of which
// nothing is known.
func meanError(values []float64) (mean, se float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	n := float64(len(values))
	return mean, math.Sqrt(sum / (n - 1) / n)
}

// roundTimes divides the heartbeats since fromNs into three parts and gives the
// time per request of each, in s; nil if there are too few. countingRel is what
// half a round of inFlight requests makes of the smallest part.
func roundTimes(beats []sdk.Heartbeat, fromNs int64, inFlight int) (times []float64, countingRel float64) {
	first := slices.IndexFunc(beats, func(b sdk.Heartbeat) bool { return b.MonoNs >= fromNs })
	if first < 0 || (len(beats)-1-first)/settlePasses == 0 {
		return nil, 0
	}
	step := (len(beats) - 1 - first) / settlePasses
	for part := settlePasses; part > 0; part-- {
		a := beats[len(beats)-1-part*step]
		b := beats[len(beats)-1-(part-1)*step]
		done := b.Done - a.Done
		if done <= 0 {
			return nil, 0
		}
		times = append(times, float64(b.MonoNs-a.MonoNs)/float64(done)/1e9)
		countingRel = max(countingRel, 0.5*float64(inFlight)/float64(done))
	}
	return times, countingRel
}
