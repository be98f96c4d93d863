package stats

// Warning is a doubt as data: it travels inside results.
type Warning struct {
	// Code is stable and meant for programs (single_cycle, drift, ...).
	Code string `json:"code"`
	// Message is one sentence with the numbers.
	Message string `json:"message"`
	// Value is the figure that the doubt is about; of several with one code, that
	// with the Value farthest from 0 is the worst. nil where there is none.
	Value *float64 `json:"value,omitempty"`
}

// Codes of the warnings of this package.
const (
	CodeSingleCycle   = "single_cycle"     // one load: no interval
	CodeSingleLoad    = "single_load"      // windows of one load as samples: never ranked
	CodeSmallN        = "small_n"          // too few samples for a method
	CodeDegenerate    = "degenerate"       // all samples equal
	CodeOutlier       = "outlier"          // flagged, never removed
	CodeDrift         = "drift"            // a trend over the loads
	CodeAutocorrelate = "autocorrelated"   // neighbouring loads alike: interval too narrow
	CodeCVHigh        = "cv_high"          // coefficient of variation above 5 %
	CodeUnequalLoads  = "unequal_windows"  // loads with different numbers of windows
	CodeUnequalSpread = "unequal_variance" // arms differ in spread: no pooling
	// CodeBelowEdgeModel: the spread that was seen is less than the sensor's edges
	// alone should make.
	CodeBelowEdgeModel = "spread_below_edge_model"
	// CodeBelowZero: the interval of a quantity that cannot be negative goes below
	// zero. It is kept as it is, since cut off it would look narrower than it is.
	CodeBelowZero = "interval_below_zero"
)

// Confidence of every interval of this package.
const Confidence = 0.95

// Spec says what the numbers are; it goes into the Estimate unchanged.
type Spec struct {
	Metric string
	Unit   string
	// Direction may be left empty: the unit knows it.
	Direction Direction
	// Boundary is the canonical string of what the joules cover, or "" for metrics
	// without joules.
	Boundary string
	// SystematicRel is the sensor's half-width as a fraction, nil when there is none.
	SystematicRel *float64
	// EdgeRel is the modelled random error of one load's value, one standard
	// deviation as a fraction. It stands in where there is no spread to look at
	// (n = 1), and the result says so; otherwise a spread that is below it by more
	// than chance allows is a warning.
	EdgeRel *float64
	// WithinLoad is an interval from inside the one load, of the order statistics of
	// its requests. Like EdgeRel it stands in at n = 1 only.
	WithinLoad *Interval
	// Seed of the bootstrap; the same seed gives the same bits.
	Seed uint64
}

// CoverageFactor is Student's t for the interval of n samples: how many standard
// errors of the mean it reaches to either side. 0 below two.
func CoverageFactor(n int) float64 {
	if n < 2 {
		return 0
	}
	return tTwoSided(float64(n - 1))
}

// Interval is a pair of bounds.
type Interval struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Estimate is one number with what is known of its error. Absent values are nil
// and become null in JSON; no field is ever NaN.
type Estimate struct {
	Metric    string    `json:"metric"`
	Unit      string    `json:"unit"`
	Direction Direction `json:"direction"`
	Boundary  string    `json:"boundary,omitempty"`

	// N is the number of samples behind the interval: loads, or windows when the
	// estimate is flagged single_load.
	N int `json:"n"`
	// Centre is the mean over the samples.
	Centre float64 `json:"centre"`
	// Lo and Hi are the random interval only; nil when there is none, which is so
	// at N = 1 unless the method is MethodOrder.
	Lo *float64 `json:"lo"`
	Hi *float64 `json:"hi"`
	// Method names the interval, one of the Method constants.
	Method     string  `json:"method"`
	Confidence float64 `json:"confidence"`

	// RandomRel is the half-width of the random part as a fraction of Centre.
	RandomRel *float64 `json:"random_rel"`
	// SystematicRel is the half-width of the sensor's part as a fraction of Centre,
	// common to all runs on one device. Never merged with RandomRel.
	SystematicRel *float64 `json:"systematic_rel"`
	// CV is the coefficient of variation over the samples.
	CV *float64 `json:"cv"`

	// BCa is the bootstrap interval beside the t interval, from 20 samples on.
	BCa *Interval `json:"bca,omitempty"`
	// BCaAbsent says why there is none: small_n or degenerate.
	BCaAbsent string `json:"bca_absent,omitempty"`
	// Components splits the variance when loads have several windows.
	Components *Components `json:"components,omitempty"`
	Warnings   []Warning   `json:"warnings,omitempty"`
}

// HasInterval reports whether Lo and Hi are there.
func (e Estimate) HasInterval() bool { return e.Lo != nil && e.Hi != nil }

// Has reports whether a warning of the code is there.
func (e Estimate) Has(code string) bool {
	for _, w := range e.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// Methods of an Estimate's interval.
const (
	// MethodT is Student's t over the samples.
	MethodT = "t"
	// MethodModelledEdge means that one sample exists and RandomRel is the modelled
	// edge term, not a spread that was seen.
	MethodModelledEdge = "modelled_edge"
	// MethodOrder means that one sample exists and the interval is of the order
	// statistics of the requests in it. They are not independent, and nothing of
	// the spread between loads is in it.
	MethodOrder = "order_statistics"
	// MethodNone means one sample and no model.
	MethodNone = "none"
)
