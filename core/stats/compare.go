package stats

import (
	"fmt"
	"math"
)

// Comparison is a candidate against a baseline as a ratio of geometric means.
// Absent values are nil.
type Comparison struct {
	Baseline  string    `json:"baseline"`
	Candidate string    `json:"candidate"`
	Metric    string    `json:"metric"`
	Unit      string    `json:"unit"`
	Direction Direction `json:"direction"`
	Boundary  string    `json:"boundary,omitempty"`

	// N is the number of pairs, or of the smaller group.
	N int `json:"n"`
	// Blocks that were paired, by number; nil where values of no common block are
	// compared.
	Blocks []int `json:"blocks,omitempty"`
	// Ratio is candidate/baseline; Lo and Hi its interval at Confidence.
	Ratio float64  `json:"ratio"`
	Lo    *float64 `json:"lo"`
	Hi    *float64 `json:"hi"`
	// DF are the degrees of freedom behind the interval.
	DF *float64 `json:"df"`
	// P is the two-sided p-value, PAdjusted the same after Holm for the family.
	P         *float64 `json:"p"`
	PAdjusted *float64 `json:"p_adjusted"`
	// MDDRel is the smallest relative difference this comparison would have shown
	// with probability Power: "no difference resolved above x". In a family it is that
	// of the one comparison with a difference among others with none, which Holm holds
	// against the level divided by their number.
	MDDRel *float64 `json:"mdd_rel"`
	Method string   `json:"method"`
	// Resolved says that the (adjusted) p-value is below 5 %.
	Resolved bool `json:"resolved"`
	// CandidateBetter is the verdict where Resolved and the unit has a direction.
	CandidateBetter *bool     `json:"candidate_better"`
	Warnings        []Warning `json:"warnings,omitempty"`
}

// Methods of a Comparison.
const (
	MethodPairedLog  = "paired_log_ratio"
	MethodWelchLog   = "welch_log_ratio"
	MethodBlocksPool = "blocks_pooled_log_ratio"
)

// ComparePaired compares values taken in the same blocks: d = ln(candidate/baseline)
// per block, interval exp(mean ± t·s/√n). What a block shares (temperature, time of
// day, the card with its gain) drops out.
func ComparePaired(spec Spec, baseline, candidate []float64) (Comparison, error) {
	if len(baseline) != len(candidate) {
		return Comparison{}, fmt.Errorf("comparison of %s: %d and %d values cannot be paired; give the blocks that both have", spec.Metric, len(baseline), len(candidate))
	}
	a, b, err := logs(spec, baseline, candidate)
	if err != nil {
		return Comparison{}, err
	}
	d := make([]float64, len(a))
	for i := range d {
		d[i] = b[i] - a[i]
	}
	c := newComparison(spec, MethodPairedLog, len(d))
	n := float64(len(d))
	c.fill(Mean(d), StdDev(d)/math.Sqrt(n), n-1)
	return c, nil
}

// CompareWelch compares values that share no blocks, such as those of two result
// directories: Welch's t on logarithms with Satterthwaite's degrees of freedom.
func CompareWelch(spec Spec, baseline, candidate []float64) (Comparison, error) {
	a, b, err := logs(spec, baseline, candidate)
	if err != nil {
		return Comparison{}, err
	}
	c := newComparison(spec, MethodWelchLog, min(len(a), len(b)))
	if min(len(a), len(b)) < 2 {
		c.fill(Mean(b)-Mean(a), math.NaN(), 0)
		return c, nil
	}
	w := welch(a, b)
	c.fill(w.diff, w.se, w.df)
	return c, nil
}

// difference of two means, second minus first.
type difference struct{ diff, se, df float64 }

func welch(a, b []float64) difference {
	na, nb := float64(len(a)), float64(len(b))
	va, vb := StdDev(a)*StdDev(a)/na, StdDev(b)*StdDev(b)/nb
	d := difference{diff: Mean(b) - Mean(a), se: math.Sqrt(va + vb)}
	d.df = (va + vb) * (va + vb) / (va*va/(na-1) + vb*vb/(nb-1))
	if d.se == 0 {
		d.df = na + nb - 2
	}
	return d
}

func logs(spec Spec, baseline, candidate []float64) (a, b []float64, err error) {
	what := fmt.Sprintf("comparison of %s", spec.Metric)
	if len(baseline) == 0 || len(candidate) == 0 {
		return nil, nil, fmt.Errorf("%s: %d baseline and %d candidate values; need at least one each", what, len(baseline), len(candidate))
	}
	if err := positive(what+", baseline", baseline); err != nil {
		return nil, nil, err
	}
	if err := positive(what+", candidate", candidate); err != nil {
		return nil, nil, err
	}
	return logOf(baseline), logOf(candidate), nil
}

func logOf(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Log(v)
	}
	return out
}

func newComparison(spec Spec, method string, n int) Comparison {
	c := Comparison{Metric: spec.Metric, Unit: spec.Unit, Direction: spec.Direction, Boundary: spec.Boundary, N: n, Method: method}
	if c.Direction == "" {
		c.Direction = DirectionOf(spec.Unit)
	}
	return c
}

// fill turns a difference of mean logarithms, its standard error and degrees of
// freedom into ratio, interval, p and MDD.
func (c *Comparison) fill(diff, se, df float64) {
	c.Ratio = math.Exp(diff)
	if !(df > 0) || math.IsNaN(se) {
		c.Warnings = append(c.Warnings, Warning{Code: CodeSingleCycle, Message: "one value a side: the ratio has no interval and nothing is resolved; run more cycles"})
		return
	}
	c.DF = number(df)
	if se <= rounding {
		// Values of no spread are values of too coarse a resolution: no test. What
		// rounding makes equal differences of logarithms spread by is none.
		c.Warnings = append(c.Warnings, Warning{Code: CodeDegenerate, Message: "the differences have no spread at all, so their error is unknown and nothing is resolved"})
		return
	}
	half := tTwoSided(df) * se
	c.Lo, c.Hi = number(math.Exp(diff-half)), number(math.Exp(diff+half))
	c.MDDRel = number(math.Expm1(mdd(se, df)))
	c.P = number(tPTwoSided(diff/se, df))
	c.judge()
}

// judge sets the verdict from the adjusted p-value where there is one.
func (c *Comparison) judge() {
	p := c.P
	if c.PAdjusted != nil {
		p = c.PAdjusted
	}
	c.Resolved = p != nil && *p < 1-Confidence
	c.CandidateBetter = nil
	if c.Resolved && c.Direction != Neither {
		better := c.Direction.Better(c.Ratio, 1)
		c.CandidateBetter = &better
	}
}

// AdjustFamily applies Holm to the comparisons of one family in place and renews
// their verdicts and what they would have shown. Comparisons without a p-value stay
// as they are.
func AdjustFamily(family []Comparison) error {
	var p []float64
	var at []int
	for i, c := range family {
		if c.P != nil {
			p, at = append(p, *c.P), append(at, i)
		}
	}
	adjusted, err := Holm(p)
	if err != nil {
		return err
	}
	for k, i := range at {
		family[i].PAdjusted = &adjusted[k]
		family[i].judge()
		family[i].detectable(len(at))
	}
	return nil
}

// detectable renews MDDRel for one of so many comparisons.
func (c *Comparison) detectable(family int) {
	if c.Lo == nil || c.Hi == nil || c.DF == nil {
		return
	}
	se := math.Log(*c.Hi / *c.Lo) / 2 / tTwoSided(*c.DF)
	c.MDDRel = number(math.Expm1(mddAt((1-Confidence)/float64(family), se, *c.DF)))
}
