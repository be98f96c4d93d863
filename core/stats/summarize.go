package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// SummarizeLoads makes the estimate of one metric of one cell. values holds, per
// load in the order in which they ran, the values of its windows. The windows of a
// load are averaged first; the loads are the samples.
//
// One load gives no interval over loads (warning single_cycle), only what stands in
// for it if the spec carries it: the modelled edge term, or an interval from within
// the load.
func SummarizeLoads(spec Spec, values [][]float64) (Estimate, error) {
	what := fmt.Sprintf("summary of %s", spec.Metric)
	if len(values) == 0 {
		return Estimate{}, fmt.Errorf("%s: no loads, so no statistics", what)
	}
	means := make([]float64, len(values))
	unequal := false
	for i, windows := range values {
		if len(windows) == 0 {
			return Estimate{}, fmt.Errorf("%s: load %d of %d has no windows; leave it out by name", what, i+1, len(values))
		}
		if err := finite(fmt.Sprintf("%s, load %d of %d", what, i+1, len(values)), windows); err != nil {
			return Estimate{}, err
		}
		means[i] = Mean(windows)
		unequal = unequal || len(windows) != len(values[0])
	}
	if err := finite(what, means); err != nil { // a sum of finite values can overflow
		return Estimate{}, err
	}
	e, err := summarize(spec, means)
	if err != nil {
		return Estimate{}, fmt.Errorf("%s: %w", what, err)
	}
	e.Components = componentsOf(values)
	if unequal {
		e.warn(CodeUnequalLoads, "loads have different numbers of windows; each load counts once all the same")
	}
	switch {
	case len(means) > 1:
	case e.Method == MethodOrder:
		e.warn(CodeSingleCycle, "one load only: the interval is of the order statistics of its requests, which are not independent, and has nothing of the spread between loads; run more cycles")
	default:
		e.warn(CodeSingleCycle, "one load only: the spread between loads is unknown, so there is no interval; run more cycles")
	}
	return e, nil
}

// SummarizeGrouped makes an estimate from the windows of one load as samples: fast,
// for a first look. It knows nothing of the spread between loads, so it is flagged
// single_load and must not be ranked.
func SummarizeGrouped(spec Spec, windows []float64) (Estimate, error) {
	what := fmt.Sprintf("summary of %s", spec.Metric)
	if len(windows) == 0 {
		return Estimate{}, fmt.Errorf("%s: no windows, so no statistics", what)
	}
	if err := finite(what, windows); err != nil {
		return Estimate{}, err
	}
	e, err := summarize(spec, windows)
	if err != nil {
		return Estimate{}, fmt.Errorf("%s: %w", what, err)
	}
	e.warn(CodeSingleLoad, "the samples are %d windows of one load: the spread between fresh starts is missing, so the interval is too narrow", len(windows))
	if len(windows) == 1 && e.Method != MethodOrder {
		e.warn(CodeSingleCycle, "one window only: there is no interval")
	}
	return e, nil
}

// summarize does the part that is the same whatever the samples are.
func summarize(spec Spec, x []float64) (Estimate, error) {
	e := Estimate{
		Metric: spec.Metric, Unit: spec.Unit, Direction: spec.Direction, Boundary: spec.Boundary,
		N: len(x), Centre: Mean(x), Method: MethodNone, Confidence: Confidence,
		SystematicRel: clone(spec.SystematicRel), BCaAbsent: CodeSmallN,
	}
	if e.Direction == "" {
		e.Direction = DirectionOf(spec.Unit)
	}
	if math.IsInf(e.Centre, 0) {
		return Estimate{}, errors.New("the sum of the values is beyond a float64")
	}
	if len(x) == 1 {
		if within := spec.WithinLoad; within != nil {
			e.Method, e.Lo, e.Hi = MethodOrder, number(within.Lo), number(within.Hi)
			if e.Centre != 0 {
				e.RandomRel = number((within.Hi - within.Lo) / 2 / math.Abs(e.Centre))
			}
		} else if spec.EdgeRel != nil {
			half := normalQuantile(1-(1-Confidence)/2) * *spec.EdgeRel
			e.RandomRel, e.Method = &half, MethodModelledEdge
		}
		return e, nil
	}
	ci, err := TInterval(x)
	if err != nil {
		return Estimate{}, err
	}
	e.Method, e.Lo, e.Hi = MethodT, number(ci.Lo), number(ci.Hi)
	if e.Centre != 0 {
		e.RandomRel = number((ci.Hi - ci.Lo) / 2 / math.Abs(e.Centre))
	}
	e.CV = number(CV(x))
	e.doubts(x)
	e.belowEdgeModel(spec.EdgeRel, len(x))
	return e, e.addBCa(x, spec.Seed)
}

// addBCa puts the bootstrap interval beside t; where it cannot, BCaAbsent says why.
func (e *Estimate) addBCa(x []float64, seed uint64) error {
	if len(x) < MinBCa {
		return nil
	}
	r, err := BCaMean(x, seed)
	switch {
	case errors.Is(err, ErrDegenerate):
		e.BCaAbsent = CodeDegenerate
		return nil
	case err != nil:
		return err
	}
	e.BCa, e.BCaAbsent = &r.Interval, ""
	return nil
}

// rounding is what floating point alone makes equal values differ by, relative.
const rounding = 1e-12

// doubts flags what makes the interval less than it seems. Nothing is removed.
func (e *Estimate) doubts(x []float64) {
	if StdDev(x) <= rounding*math.Abs(e.Centre) {
		e.warn(CodeDegenerate, "all %d values are equal: the interval of no width says that the resolution is coarser than the spread", len(x))
		return
	}
	if e.CV != nil && *e.CV > 0.05 {
		e.warnOf(CodeCVHigh, *e.CV, "coefficient of variation %.1f %% (limit 5 %%)", 100**e.CV)
	}
	if e.Lo != nil && e.CV != nil && *e.Lo < 0 && slices.Min(x) > 0 && neverNegative(e.Unit) {
		e.warnOf(CodeBelowZero, *e.Lo/e.Centre, "the interval of %d samples reaches down to %.3g %s, below zero: it is kept as it is and says that there are too few; with their spread %d would do", len(x), *e.Lo, e.Unit, samplesAboveZero(*e.CV))
	}
	// With fewer values every set has one that looks far out.
	if len(x) >= 5 {
		for _, i := range Outliers(x) {
			e.warnOf(CodeOutlier, (x[i]-Median(x))/e.Centre, "sample %d of %d (%.5g) lies far from the median %.5g; it is kept; %s", i+1, len(x), x[i], Median(x), outlierByChance(x, i))
		}
	}
	d, ok := DriftOf(x)
	if !ok {
		return
	}
	if d.Present {
		e.warnOf(CodeDrift, d.RunRel, "a trend of %+.1f %% over the run (Mann-Kendall p = %.3g)", 100*d.RunRel, d.MannKendallP)
	}
	if len(x) >= 8 && d.Lag1 > 0.5 {
		e.warnOf(CodeAutocorrelate, d.Lag1, "neighbouring samples are alike (lag-1 correlation %.2f): the interval is too narrow", d.Lag1)
	}
}

// outlierByChance says how much the flag of sample i means: the modified z score
// flags some sample of one set of five in five whose spread is normal, and of one
// set of twenty in ten. Grubbs' test does in one of twenty, from six samples on.
func outlierByChance(x []float64, i int) string {
	g, err := Grubbs(x)
	switch {
	case err != nil || len(x) < 6:
		return "of five samples chance alone flags one in every fifth set"
	case g.Outlier && g.Index == i:
		return "Grubbs' test agrees (5 %)"
	}
	return "Grubbs' test does not agree (5 %), so it may be chance"
}

// belowEdgeModel doubts a spread that lies below the modelled error of single
// samples: below the 5 % point of what chance makes of it. Either the model is too
// pessimistic for this sensor, or the samples are not independent.
func (e *Estimate) belowEdgeModel(edgeRel *float64, n int) {
	if edgeRel == nil || e.CV == nil || e.Has(CodeDegenerate) {
		return
	}
	if df := float64(n - 1); df**e.CV**e.CV < chi2(0.05, df)**edgeRel**edgeRel {
		e.warnOf(CodeBelowEdgeModel, *edgeRel / *e.CV, "%d samples spread by %s, less than the %s that the sensor's edges alone should make of each: the model is too wide for this sensor, or the samples are not independent and the interval is too narrow", n, Percent(*e.CV), Percent(*edgeRel))
	}
}

func (e *Estimate) warn(code, format string, args ...any) {
	e.Warnings = append(e.Warnings, Warning{Code: code, Message: fmt.Sprintf(format, args...)})
}

// warnOf is warn with the figure that the doubt is about.
func (e *Estimate) warnOf(code string, value float64, format string, args ...any) {
	e.warn(code, format, args...)
	e.Warnings[len(e.Warnings)-1].Value = number(value)
}

// samplesAboveZero is how many samples of a coefficient of variation have a t
// interval that stays above zero.
func samplesAboveZero(cv float64) int {
	n := 2
	for tTwoSided(float64(n-1))*cv >= math.Sqrt(float64(n)) {
		n++
	}
	return n
}

// number is a pointer to v, nil where v is no number: absent, never NaN.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func clone(p *float64) *float64 {
	if p == nil {
		return nil
	}
	return number(*p)
}
