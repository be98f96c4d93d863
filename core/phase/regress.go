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
	// cached), output tokens after the first of each request.
	Steps, PrefillTokens, DecodeTokens float64
	// ContextTokens is the sum, over these output tokens, of the tokens that stood
	// before each: what decoding reads of the KV cache.
	ContextTokens float64
}

func (p Point) idle() bool { return p.Shape == "" }

// The parts of the joules, in the order of the coefficients.
const (
	partTime = iota
	partSteps
	partPrefill
	partDecode
	partContext
	parts
)

func (p Point) regressors() [parts]float64 {
	return [parts]float64{p.TimeS, p.Steps, p.PrefillTokens, p.DecodeTokens, p.ContextTokens}
}

var partNames = [parts]string{"time", "engine steps", "prefill tokens", "decode tokens", "the context that decoding reads"}

// LeastShapes is how many shapes method E needs.
const LeastShapes = 8

// What else a design must have, and how good the fit must be. The limits come from
// fits on a real server: with one concurrency the coefficients were negative at
// a residual of 0.3 %.
const (
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

// Fit is E = a*time + s*steps + p*prefill tokens + (d + k*context)*decode tokens.
// Without the context, prefill would have to answer for what longer prompts cost
// while decoding: in simulated designs by more than its bounds.
type Fit struct {
	IdleW         float64 `json:"idle_w"`
	StepJ         float64 `json:"step_j"`
	PrefillTokenJ float64 `json:"prefill_token_j"`
	// DecodeTokenJ are joules of an output token without its context, ContextTokenJ
	// those of a token of context for each output token; either may come out below
	// zero where only their sum is well known.
	DecodeTokenJ  float64 `json:"decode_token_j"`
	ContextTokenJ float64 `json:"context_token_j"`
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
	// PrefillRel is the relative half-width of PrefillTokenJ; see known.
	PrefillRel float64 `json:"prefill_rel"`
	// LeftOut is the number of loads that made no point, and LeftOutWhy what the
	// first of them lacks.
	LeftOut    int    `json:"left_out,omitempty"`
	LeftOutWhy string `json:"left_out_why,omitempty"`

	all     solution
	without []solution // each shape once
	points  int        // that are not idle
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
	case len(shapes) < LeastShapes:
		return Fit{}, fmt.Errorf("%d shapes, of %d that are needed; sweep prompt and output lengths and concurrency", len(shapes), LeastShapes)
	case idle == 0:
		return Fit{}, fmt.Errorf("no idle stretch with the model loaded; set protocol.idle_s")
	case len(levels) < leastConcurrency:
		return Fit{}, fmt.Errorf("one concurrency only: steps and tokens rise together; sweep it")
	}
	f := Fit{Shapes: len(shapes)}
	var err error
	if f.all, err = leastSquares(points); err != nil {
		return f, err
	}
	c, inverse := f.all.coefficients, f.all.inverse
	var between [2]string
	f.MostCorrelation, between = worstCorrelation(inverse)
	if f.MostCorrelation > mostCorrelation {
		return f, fmt.Errorf("%s and %s are correlated by %.3f (at most %.2f); vary them apart", between[0], between[1], f.MostCorrelation, mostCorrelation)
	}
	for i := range inverse {
		if f.MostInflation = max(f.MostInflation, inverse[i][i]); inverse[i][i] > mostInflation {
			return f, fmt.Errorf("%s hang together with the other parts (variance inflation %.0f, at most %d); vary prompt length, output length and concurrency apart", partNames[i], inverse[i][i], mostInflation)
		}
	}
	f.IdleW, f.StepJ, f.PrefillTokenJ, f.DecodeTokenJ, f.ContextTokenJ = c[partTime], c[partSteps], c[partPrefill], c[partDecode], c[partContext]
	for i, v := range c[:partDecode] {
		if !(v >= 0) {
			return f, fmt.Errorf("the joules of %s come out as %.3g, below zero", partNames[i], v)
		}
	}
	sum := 0.0
	for _, p := range points {
		r := f.all.value(p.regressors())/p.EnergyJ - 1
		sum += r * r
	}
	f.ResidualRel = math.Sqrt(sum / float64(len(points)-len(c)))
	for _, shape := range slices.Sorted(maps.Keys(shapes)) {
		rest := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Shape == shape })
		s, err := leastSquares(rest)
		if err != nil {
			return f, fmt.Errorf("without shape %s: %w", shape, err)
		}
		f.without = append(f.without, s)
		var foretold, measured float64
		for _, p := range points {
			if p.Shape == shape {
				foretold, measured = foretold+s.value(p.regressors()), measured+p.EnergyJ
			}
		}
		if off := math.Abs(foretold/measured - 1); off > f.LeaveOutRel {
			f.LeaveOutRel, f.LeaveOutShape = off, shape
		}
	}
	f.RepeatRel = repeatRel(points, f.all)
	if f.LeaveOutRel > mostLeaveOutRel {
		return f, fmt.Errorf("shape %s, left out, is predicted %.0f %% wrong (at most %.0f %%)", f.LeaveOutShape, 100*f.LeaveOutRel, 100*mostLeaveOutRel)
	}
	f.points = len(points) - idle
	_, f.PrefillRel = f.known([parts]float64{partPrefill: 1})
	return f, tooWide(partNames[partPrefill], f.PrefillRel)
}

// tooWide refuses joules that are known no better than they are.
func tooWide(what string, rel float64) error {
	if rel <= mostCoefficientRel { // NaN, of joules of exactly 0, is not
		return nil
	}
	return fmt.Errorf("the joules of %s are known to ±%.0f %% only (at most ±%.0f %%); more shapes in which they weigh more", what, 100*rel, 100*mostCoefficientRel)
}

// known is a weighted sum of the coefficients and its relative half-width, the
// greater of two. The first is t times the jackknife's standard error over shapes
// left out, √((k-1)/k·Σ(c_i - mean)²). The second is the error of the sum if every
// point were off by what the fit makes of a load of a shape that it had not seen, and
// more points averaged nothing of it out: lack of fit does not shrink with their
// number. It is the worst shape's, with what its loads scatter by; where shapes have
// one load each, the worst shape's holds both.
func (f Fit) known(weights [parts]float64) (centre, rel float64) {
	centre = f.all.value(weights)
	k, mean, sum := float64(len(f.without)), 0.0, 0.0
	for _, s := range f.without {
		mean += s.value(weights) / k
	}
	for _, s := range f.without {
		d := s.value(weights) - mean
		sum += d * d
	}
	jackknife := stats.TQuantile(0.975, k-1) * math.Sqrt((k-1)/k*sum)
	unseen := f.LeaveOutRel
	if f.RepeatRel != nil {
		unseen = math.Hypot(unseen, *f.RepeatRel)
	}
	return centre, max(jackknife, unseen*math.Sqrt(float64(f.points))*f.all.error(weights)) / centre
}

// repeatRel is how far the loads of one shape lie from each other, relative to
// what the fit makes of each, since they need not have the same work.
func repeatRel(points []Point, s solution) *float64 {
	ratios := map[string][]float64{}
	for _, p := range points {
		if !p.idle() {
			ratios[p.Shape] = append(ratios[p.Shape], p.EnergyJ/s.value(p.regressors()))
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

// worstCorrelation is the greatest correlation of two coefficients' errors, from
// the inverse of the normal equations: near 1, joules could be moved from one to
// the other and the fit would not notice.
func worstCorrelation(inverse [][]float64) (worst float64, between [2]string) {
	for i := range inverse {
		for j := range i {
			if c := math.Abs(inverse[i][j]) / math.Sqrt(inverse[i][i]*inverse[j][j]); c > worst {
				worst, between = c, [2]string{partNames[j], partNames[i]}
			}
		}
	}
	return worst, between
}

// FromFit is method E for one cell, whose output tokens have so many tokens before
// them on average. The values are marginal joules at the shapes sampled, with the
// bounds of known.
func FromFit(spec stats.Spec, f Fit, context float64) Split {
	decode, rel := f.known([parts]float64{partDecode: 1, partContext: context})
	if !(decode > 0) {
		return NotFitted(fmt.Errorf("the joules of decode tokens, with %.0f tokens before them, come out as %.3g, not above zero", context, decode))
	}
	if err := tooWide(partNames[partDecode], rel); err != nil {
		return NotFitted(err)
	}
	forPrefill, forDecode := specs(spec)
	bounded := func(s stats.Spec, centre, rel float64) *stats.Estimate {
		lo, hi := centre*(1-rel), centre*(1+rel)
		return &stats.Estimate{Metric: s.Metric, Unit: s.Unit, Direction: stats.Lower, Boundary: s.Boundary,
			N: f.Shapes, Centre: centre, Lo: &lo, Hi: &hi, RandomRel: &rel, SystematicRel: s.SystematicRel, Method: MethodShapesLeftOut}
	}
	s := Split{Method: Regression, Prefill: bounded(forPrefill, f.PrefillTokenJ, f.PrefillRel), Decode: bounded(forDecode, decode, rel), LeaveOutRel: &f.LeaveOutRel, Fit: &f}
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
