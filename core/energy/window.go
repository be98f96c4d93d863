package energy

import (
	"errors"
	"fmt"
	"math"
)

// Window is the energy of one domain between two stamps.
type Window struct {
	// Domain is the ID of the domain.
	Domain string `json:"domain"`
	FromNs int64  `json:"from_ns"`
	ToNs   int64  `json:"to_ns"`

	EnergyJ    float64 `json:"energy_j"`
	MeanPowerW float64 `json:"mean_power_w"`
	// CoverageRatio is the share of the window that the sensor really looked at:
	// gaps, held edges and duty sampling take from it.
	CoverageRatio float64 `json:"coverage_ratio"`
	// Method names how the joules were made, one of the Method constants.
	Method string `json:"method"`
	// Samples is the number of samples inside the window.
	Samples int `json:"samples"`

	// RandomRel is the modelled random error of this one window, one standard
	// deviation as a fraction of EnergyJ; see edgeModel for its sources.
	RandomRel float64 `json:"random_rel"`
	// GainRel and OffsetW are the sensor's systematic half-widths. They are common
	// to all windows of the domain: never merge them with RandomRel.
	GainRel float64 `json:"gain_rel"`
	OffsetW float64 `json:"offset_w"`
	// AliasRel is the half-width for a sensor that looks at part of the time, see
	// aliasRel: the same load is misread alike in every window, so it is systematic,
	// but another load otherwise, so no ratio is free of it.
	AliasRel float64 `json:"alias_rel,omitempty"`

	Estimated bool      `json:"estimated,omitempty"`
	Warnings  []Warning `json:"warnings,omitempty"`
}

// Methods of a Window.
const (
	MethodCounterInterpolated = "counter_interpolated" // counter, linear between its changes
	MethodCounterDifference   = "counter_difference"   // counter, raw difference of the last reads
	MethodTrapezoid           = "trapezoid"            // power linear between samples and at the edges
	MethodTrailingShifted     = "trailing_mean_shifted"
	MethodTrailingTiled       = "trailing_mean_tiled"
	MethodIntervalMean        = "interval_mean" // each sample holds for the interval before it
	MethodHoldLast            = "hold_last"     // change-only series: each sample holds until the next
	MethodApertures           = "apertures"     // each sample stands for what its aperture saw of passes between gaps
)

// DurationS is the length of the window in seconds.
func (w Window) DurationS() float64 { return seconds(w.ToNs - w.FromNs) }

// SystematicRel is the sensor's systematic half-width as a fraction of this
// window's energy: gain plus offset over mean power plus aliasing, added as bounds
// because nothing says that they are independent.
func (w Window) SystematicRel() float64 {
	if w.MeanPowerW <= 0 {
		return w.GainRel + w.AliasRel
	}
	return w.GainRel + w.OffsetW/w.MeanPowerW + w.AliasRel
}

// Fatal reports whether a warning takes the window out of every ranking.
func (w Window) Fatal() bool {
	for _, x := range w.Warnings {
		if x.Severity == SeverityFatal {
			return true
		}
	}
	return false
}

var (
	// ErrIncomplete: the window ends behind the trace's watermark. Wait and ask again.
	ErrIncomplete = errors.New("energy window is not complete yet")
	// ErrInvalid: the samples cannot give this window's energy, however long one waits.
	ErrInvalid = errors.New("energy window is invalid")
)

// WindowError says why a window has no joules. errors.Is tells ErrIncomplete from
// ErrInvalid.
type WindowError struct {
	Code         string
	Domain       string
	FromNs, ToNs int64
	Detail       string
	// Warnings are what the recording says of itself around the window.
	Warnings []Warning
}

func (e *WindowError) Error() string {
	return fmt.Sprintf("energy of %q from %d to %d ns: %s (%s)", e.Domain, e.FromNs, e.ToNs, e.Detail, e.Code)
}

// Is makes errors.Is work with the two sentinels.
func (e *WindowError) Is(target error) bool {
	if e.Code == CodeIncomplete {
		return target == ErrIncomplete
	}
	return target == ErrInvalid
}

// Window computes the energy between two stamps. It is pure: the same trace and
// stamps give the same bits. Cost: two binary searches and a walk over the
// samples inside.
func (t *Trace) Window(fromNs, toNs int64) (Window, error) {
	q := query{t: t.plausible(), from: fromNs, to: toNs}
	if fromNs < 0 || toNs <= fromNs || toNs > math.MaxInt64-2*maxSpanNs {
		return Window{}, q.fail(CodeBadSpan, "the window is empty, reversed or has an impossible stamp")
	}
	if err := t.Domain.Validate(); err != nil {
		return Window{}, fmt.Errorf("energy window: %w", err)
	}
	w, err := q.joules(toNs + t.Domain.LagNs)
	if err != nil {
		return Window{}, q.diagnose(err)
	}
	return w, nil
}

// joules are of the span asked for, whose end lies at the stamp lagged.
func (q *query) joules(lagged int64) (Window, error) {
	t := q.t
	if lagged > t.CompleteUntilNs {
		return Window{}, q.fail(CodeIncomplete, fmt.Sprintf("the source is complete until %d ns and is needed until %d ns", t.CompleteUntilNs, lagged))
	}
	if err := q.anyLeft(lagged); err != nil {
		return Window{}, err
	}
	q.sd = seconds(q.to - q.from)
	var w Window
	var err error
	if t.Domain.Reading == ReadingCounter {
		w, err = q.counter()
	} else {
		w, err = q.power()
	}
	if err != nil {
		return Window{}, err
	}
	return q.finish(w)
}

// anyLeft refuses a window without samples: of a recording that has none, or with
// none inside but such as no running device gives.
func (q *query) anyLeft(untilNs int64) error {
	t := q.t
	begin := q.from + t.Domain.LagNs
	if refused := t.refusedIn(begin, untilNs); len(refused) > 0 && t.count(begin, untilNs) == 0 {
		p := refusedProblems(refused)[0]
		return q.fail(p.code, fmt.Sprintf("%s, %d of them, and no other sample lies in the window; the sensor is stuck or not supported", problemWords[p.code], len(refused)))
	}
	if len(t.samples) == 0 {
		return q.fail(CodeNoSamples, "the recording has no samples")
	}
	return nil
}

// query is one call of Window: the span asked for, and the doubts met so far.
type query struct {
	t        *Trace
	from, to int64
	sd       float64 // length in seconds
	warnings []Warning
	// lossHarmless: what is missing in the recording does not touch this window.
	lossHarmless bool
}

func (q *query) fail(code, detail string) error {
	return &WindowError{Code: code, Domain: q.t.Domain.ID, FromNs: q.from, ToNs: q.to, Detail: detail}
}

func (q *query) warn(code string, s Severity, format string, args ...any) {
	q.warnings = append(q.warnings, Warning{Code: code, Severity: s, Message: fmt.Sprintf(format, args...), Domain: q.t.Domain.ID})
}

// finish fills what all methods share and refuses joules that are none.
func (q *query) finish(w Window) (Window, error) {
	d := q.t.Domain
	if !(w.EnergyJ > 0) || math.IsInf(w.EnergyJ, 0) {
		return Window{}, q.fail(CodeZeroOrBackwards, fmt.Sprintf("the samples add up to %g J; a powered device cannot use nothing, so the sensor is stuck, too slow for this window or not supported", w.EnergyJ))
	}
	w.Domain, w.FromNs, w.ToNs = d.ID, q.from, q.to
	w.MeanPowerW = w.EnergyJ / q.sd
	w.GainRel, w.OffsetW, w.Estimated = d.Accuracy.GainRel, d.Accuracy.OffsetW, d.Estimated
	duty, known := q.t.Duty()
	w.CoverageRatio *= duty
	seen := q.seen(w)
	fewer := known && seen < 0.95*w.CoverageRatio
	if fewer {
		w.CoverageRatio, duty = seen, min(duty, seen)
	}
	w.AliasRel = aliasRel(duty)
	switch {
	case fewer:
		q.warn(CodeDutySampled, SeverityWarning, "%d samples, each of which looks at %s, see no more than %.0f %% of the window, fewer than the sensor is said to give: a load in step with it is misread", w.Samples, DurationText(d.AveragingNs), 100*seen)
	case !known:
		q.warn(CodeDutyUnknown, SeverityWarning, "nobody says over what time a sample averages, or how often there is one, so the share of time that the sensor looks at is not known; a quarter is assumed, for coverage and error")
	case duty < 1:
		q.warn(CodeDutySampled, SeverityWarning, "the sensor looks at %.0f %% of the time (%s of every %s): a load in step with it is misread", 100*duty, DurationText(d.AveragingNs), DurationText(q.t.periodNs))
	}
	if d.Estimated {
		q.warn(CodeEstimated, SeverityWarning, "the joules are modelled, not measured")
	}
	for _, p := range refusedProblems(q.t.refusedIn(q.from, q.to+d.shiftNs()+q.t.periodNs)) {
		q.warnings = append(q.warnings, p.warning(d.ID))
	}
	for _, p := range q.t.problems {
		if p.lastNs >= q.from && p.firstNs <= q.to {
			warning := p.warning(d.ID)
			if q.lossHarmless && (p.code == CodeDropped || p.code == CodeSequenceGap) {
				warning.Severity = SeverityInfo
			}
			q.warnings = append(q.warnings, warning)
		}
	}
	w.Warnings = q.warnings
	return w, nil
}

// seen is the share of a window that its samples can have looked at, whatever the
// sensor says of its period; one more sample may have seen both edges.
func (q *query) seen(w Window) float64 {
	d := q.t.Domain
	if d.ChangesOnly || d.AveragingNs <= 0 || d.Reading != ReadingInstant && d.Reading != ReadingTrailingMean {
		return 1
	}
	return min(1, float64(w.Samples+1)*float64(d.AveragingNs)/float64(q.to-q.from))
}

// mostAliasRel is the half-width, at 95 %, of what a sensor that looks at part of
// the time may be off by. Loads whose ripple is locked to one that looks at 25 ms of
// every 100 ms are misread by 2-11 % (1 sd over the phase), and longer windows do
// not help (simulation after the characterisation in arXiv 2312.02741); the upper
// end is taken. It holds a ripple of up to 21.6 % of the mean power to either side,
// and no deeper one.
const mostAliasRel = 1.96 * 0.11

// aliasRel is that half-width for a share of time looked at. A sensor that looks at
// half of the time or less can see one half of a ripple only, whatever its duty; of
// what one that looks longer sees the rest makes up for, so that it errs by at most
// the share (1-duty)/duty of the ripple.
func aliasRel(duty float64) float64 { return mostAliasRel * min(1, (1-duty)/duty) }

// edgeModel is the random error of a window's two edges, one standard deviation
// as a fraction of the energy. Each edge is known in time to a uniform width
// width0, width1 (ns) and to the spread of the sensor's lag (sd, ns); a time
// error dt at an edge costs up to P*dt joules. Two uniform edges of one width T
// give the familiar P*T/sqrt(6) of raw counter reads.
func (q *query) edgeModel(width0, width1 float64) float64 {
	spread := float64(q.t.Domain.LagSpreadNs)
	return math.Sqrt((width0*width0+width1*width1)/12+2*spread*spread) / float64(q.to-q.from)
}

// checkRange refuses samples lo..hi when they cannot belong to one undisturbed
// recording.
func (q *query) checkRange(lo, hi int, rising bool) error {
	s := q.t.samples
	changed := lo // the last change
	for ; rising && changed > 0 && s[changed-1].Value == s[changed].Value && s[changed-1].Epoch == s[changed].Epoch; changed-- {
	}
	for i := lo + 1; i <= hi; i++ {
		if s[i].Epoch != s[i-1].Epoch {
			return q.fail(CodeEpochChange, fmt.Sprintf("the sensor restarted between %d and %d ns, so what it used in between is unknown; measure again", s[i-1].MonoNs, s[i].MonoNs))
		}
		if rising && s[i].Value < s[i-1].Value {
			return q.fail(CodeZeroOrBackwards, fmt.Sprintf("the counter fell from %d to %d at %d ns without a restart: driver reload or lost device; measure again", s[i-1].Value, s[i].Value, s[i].MonoNs))
		}
		if rising && s[i].Value > s[i-1].Value {
			if !q.t.risesPlausibly(delta(s[changed].Value, s[i].Value), s[i].MonoNs-s[changed].MonoNs) {
				return q.jumped(i)
			}
			changed = i
		}
	}
	if rising {
		if i := q.t.loneJump(lo, hi); i >= 0 {
			return q.jumped(i)
		}
	}
	return nil
}

func (q *query) jumped(i int) error {
	s := q.t.samples
	return q.fail(CodeImplausible, fmt.Sprintf("the counter jumped from %d to %d at %d ns, by more than there can be; measure again", s[i-1].Value, s[i].Value, s[i].MonoNs))
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
