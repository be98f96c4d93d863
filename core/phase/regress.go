package phase

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/core/stats"
)

// Point is one design point of method E: a whole Run, or an idle stretch with the
// model loaded.
type Point struct {
	// Shape names the workload and load that the point belongs to; idle points
	// have the shape "".
	Shape       string
	Concurrency int
	EnergyJ     float64
	TimeS       float64
	// Steps of the engine, prompt tokens that it computed (not those that it had
	// cached), output tokens.
	Steps, PrefillTokens, DecodeTokens float64
}

func (p Point) idle() bool { return p.Shape == "" }

func (p Point) regressors() []float64 {
	return []float64{p.TimeS, p.Steps, p.PrefillTokens, p.DecodeTokens}
}

// regressorNames are in the order of Fit.Coefficients.
var regressorNames = []string{"time", "engine steps", "prefill tokens", "decode tokens"}

// What a design must have, and how good the fit must be. The limits come from
// fits on a real server: with one concurrency the coefficients were negative at
// a residual of 0.3 %.
const (
	leastShapes     = 8
	mostCorrelation = 0.95
	// A coefficient's variance may be so many times that of a design whose
	// regressors had nothing in common: this sees several that hang together,
	// which no pair of them shows.
	mostInflation = 30
	// Beyond this half-width a coefficient is no answer.
	mostCoefficientRel = 0.5
	mostLeaveOutRel    = 0.10
	leastConcurrency   = 2
)

// Fit is E = a*time + s*steps + p*prefill tokens + d*decode tokens.
type Fit struct {
	IdleW         float64 `json:"idle_w"`
	StepJ         float64 `json:"step_j"`
	PrefillTokenJ float64 `json:"prefill_token_j"`
	DecodeTokenJ  float64 `json:"decode_token_j"`
	Shapes        int     `json:"shapes"`
	ResidualRel   float64 `json:"residual_rel"`
	// LeaveOutRel is the worst error of the joules of all loads of a shape together,
	// by the fit that had not seen it; RepeatRel how far loads of one shape scatter,
	// pooled over the shapes with several, nil if there are none.
	LeaveOutRel     float64  `json:"leave_out_rel"`
	LeaveOutShape   string   `json:"leave_out_shape"`
	RepeatRel       *float64 `json:"repeat_rel,omitempty"`
	MostCorrelation float64  `json:"most_correlation"`
	// MostInflation is the greatest variance inflation of a coefficient.
	MostInflation float64 `json:"most_inflation"`
	// PrefillRel and DecodeRel are the half-widths of the two coefficients,
	// relative; see coefficientRel.
	PrefillRel float64 `json:"prefill_rel"`
	DecodeRel  float64 `json:"decode_rel"`
	// LeftOut is the number of loads that made no point, and LeftOutWhy what the
	// first of them lacks.
	LeftOut    int    `json:"left_out,omitempty"`
	LeftOutWhy string `json:"left_out_why,omitempty"`
}

// Regress fits the points, each weighted by 1/E so that errors count relative to
// what they are errors of. It refuses designs that cannot tell the phases apart
// and fits with joules below zero.
//
// The standard errors of such a fit are too small, since lack of fit is far above
// the noise of repeats: what is told comes from shapes that were left out, the
// worst prediction of one and the spread of the coefficients.
func Regress(points []Point) (Fit, error) {
	shapes, levels, idle := map[string]bool{}, map[int]bool{}, 0
	for _, p := range points {
		if !(p.EnergyJ > 0) || !(p.TimeS > 0) {
			return Fit{}, fmt.Errorf("a point of shape %q has %g J in %g s", p.Shape, p.EnergyJ, p.TimeS)
		}
		if p.idle() {
			idle++
			continue
		}
		if p.Steps <= 0 {
			return Fit{}, fmt.Errorf("the engine does not count its steps")
		}
		shapes[p.Shape], levels[p.Concurrency] = true, true
	}
	switch {
	case len(shapes) < leastShapes:
		return Fit{}, fmt.Errorf("%d shapes, of %d that are needed; sweep prompt and output lengths and concurrency", len(shapes), leastShapes)
	case idle == 0:
		return Fit{}, fmt.Errorf("no idle stretch with the model loaded; set protocol.idle_s")
	case len(levels) < leastConcurrency:
		return Fit{}, fmt.Errorf("one concurrency only: steps and tokens rise together; sweep it")
	}
	f := Fit{Shapes: len(shapes)}
	c, inverse, err := leastSquares(points)
	if err != nil {
		return f, err
	}
	var between [2]string
	f.MostCorrelation, between = worstCorrelation(inverse)
	if f.MostCorrelation > mostCorrelation {
		return f, fmt.Errorf("%s and %s are correlated by %.3f (at most %.2f); vary them apart", between[0], between[1], f.MostCorrelation, mostCorrelation)
	}
	for i := range inverse {
		if f.MostInflation = max(f.MostInflation, inverse[i][i]); inverse[i][i] > mostInflation {
			return f, fmt.Errorf("%s hang together with the other parts (variance inflation %.0f, at most %d); vary prompt length, output length and concurrency apart", regressorNames[i], inverse[i][i], mostInflation)
		}
	}
	f.IdleW, f.StepJ, f.PrefillTokenJ, f.DecodeTokenJ = c[0], c[1], c[2], c[3]
	for i, v := range c {
		if !(v >= 0) {
			return f, fmt.Errorf("the joules of %s come out as %.3g, below zero", regressorNames[i], v)
		}
	}
	sum := 0.0
	for _, p := range points {
		r := predict(c, p)/p.EnergyJ - 1
		sum += r * r
	}
	f.ResidualRel = math.Sqrt(sum / float64(len(points)-len(c)))
	var without [][]float64
	for _, shape := range slices.Sorted(maps.Keys(shapes)) {
		rest := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Shape == shape })
		c, _, err := leastSquares(rest)
		if err != nil {
			return f, fmt.Errorf("without shape %s: %w", shape, err)
		}
		without = append(without, c)
		var foretold, measured float64
		for _, p := range points {
			if p.Shape == shape {
				foretold, measured = foretold+predict(c, p), measured+p.EnergyJ
			}
		}
		if off := math.Abs(foretold/measured - 1); off > f.LeaveOutRel {
			f.LeaveOutRel, f.LeaveOutShape = off, shape
		}
	}
	f.RepeatRel = repeatRel(points, c)
	if f.LeaveOutRel > mostLeaveOutRel {
		return f, fmt.Errorf("shape %s, left out, is predicted %.0f %% wrong (at most %.0f %%)", f.LeaveOutShape, 100*f.LeaveOutRel, 100*mostLeaveOutRel)
	}
	f.PrefillRel, f.DecodeRel = f.coefficientRel(points, c, without, 2), f.coefficientRel(points, c, without, 3)
	for i, rel := range []float64{f.PrefillRel, f.DecodeRel} {
		if !(rel <= mostCoefficientRel) { // joules of exactly 0 have none
			return f, fmt.Errorf("the joules of %s are known to ±%.0f %% only (at most ±%.0f %%); more shapes in which they weigh more", regressorNames[i+2], 100*rel, 100*mostCoefficientRel)
		}
	}
	return f, nil
}

// coefficientRel is the half-width of one coefficient as a fraction of it: the
// greater of two. The first is t times the jackknife's standard error over shapes
// left out, √((k-1)/k·Σ(c_i - mean)²). The second asks what the coefficient could
// take of the error that the fit makes on one load of an unseen shape, where it has
// its median weight: a phase that is a small share of the joules cannot be known
// better. That error is the worst shape's, with what its loads scatter by; where
// shapes have one load each, the worst shape's holds both.
func (f Fit) coefficientRel(points []Point, c []float64, without [][]float64, j int) float64 {
	k := float64(len(without))
	mean, sum := 0.0, 0.0
	for _, w := range without {
		mean += w[j] / k
	}
	for _, w := range without {
		sum += (w[j] - mean) * (w[j] - mean)
	}
	jackknife := stats.TQuantile(0.975, k-1) * math.Sqrt((k-1)/k*sum) / c[j]
	var shares []float64
	for _, p := range points {
		if !p.idle() {
			shares = append(shares, c[j]*p.regressors()[j]/p.EnergyJ)
		}
	}
	slices.Sort(shares)
	unseen := f.LeaveOutRel
	if f.RepeatRel != nil {
		unseen = math.Hypot(unseen, *f.RepeatRel)
	}
	return max(jackknife, unseen/shares[len(shares)/2])
}

// repeatRel is how far the loads of one shape lie from each other, relative to
// what the fit makes of each, since they need not have the same work.
func repeatRel(points []Point, c []float64) *float64 {
	ratios := map[string][]float64{}
	for _, p := range points {
		if !p.idle() {
			ratios[p.Shape] = append(ratios[p.Shape], p.EnergyJ/predict(c, p))
		}
	}
	sum, df := 0.0, 0
	for _, shape := range slices.Sorted(maps.Keys(ratios)) { // a sum must not depend on a map's order
		list := ratios[shape]
		mean := 0.0
		for _, r := range list {
			mean += r / float64(len(list))
		}
		for _, r := range list {
			sum += (r - mean) * (r - mean)
		}
		df += len(list) - 1
	}
	if df == 0 {
		return nil
	}
	sd := math.Sqrt(sum / float64(df))
	return &sd
}

func predict(c []float64, p Point) float64 {
	sum := 0.0
	for i, x := range p.regressors() {
		sum += c[i] * x
	}
	return sum
}

// worstCorrelation is the greatest correlation of two coefficients' errors, from
// the inverse of the normal equations: near 1, joules could be moved from one to
// the other and the fit would not notice.
func worstCorrelation(inverse [][]float64) (worst float64, between [2]string) {
	for i := range inverse {
		for j := range i {
			if c := math.Abs(inverse[i][j]) / math.Sqrt(inverse[i][i]*inverse[j][j]); c > worst {
				worst, between = c, [2]string{regressorNames[j], regressorNames[i]}
			}
		}
	}
	return worst, between
}

// FromFit is method E for one cell. The coefficients are marginal joules at the
// loads sampled, with the bounds of coefficientRel.
func FromFit(spec stats.Spec, f Fit) Split {
	forPrefill, forDecode := specs(spec)
	bounded := func(s stats.Spec, centre, rel float64) *stats.Estimate {
		lo, hi := centre*(1-rel), centre*(1+rel)
		return &stats.Estimate{Metric: s.Metric, Unit: s.Unit, Direction: stats.Lower, Boundary: s.Boundary,
			N: f.Shapes, Centre: centre, Lo: &lo, Hi: &hi, RandomRel: &rel, SystematicRel: s.SystematicRel, Method: MethodShapesLeftOut}
	}
	s := Split{Method: Regression, Prefill: bounded(forPrefill, f.PrefillTokenJ, f.PrefillRel), Decode: bounded(forDecode, f.DecodeTokenJ, f.DecodeRel), LeaveOutRel: &f.LeaveOutRel, Fit: &f}
	if f.LeftOut > 0 {
		for _, e := range []*stats.Estimate{s.Prefill, s.Decode} {
			e.Warnings = append(e.Warnings, stats.Warning{Code: stats.CodeIncompleteBlocks,
				Message: fmt.Sprintf("%d loads of the deployment are not in the fit: %s", f.LeftOut, f.LeftOutWhy)})
		}
	}
	return s
}

// MethodShapesLeftOut is the method of the intervals of E.
const MethodShapesLeftOut = "shapes_left_out"

// NotFitted is method E's Split where the fit was refused.
func NotFitted(err error) Split { return refuse(Regression, "%v", err) }
