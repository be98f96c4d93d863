package stats

// Components splits the spread of windows grouped by load (one-way random
// effects, method of moments).
type Components struct {
	// Loads and Windows are the counts; WindowsPerLoad is the effective number per
	// load (its mean when loads are unequal, corrected for that).
	Loads          int     `json:"loads"`
	Windows        int     `json:"windows"`
	WindowsPerLoad float64 `json:"windows_per_load"`
	// WithinRel and BetweenRel are standard deviations as fractions of the mean:
	// between windows of one load, and between loads beyond what their windows
	// explain. BetweenRel is 0 where the moment estimate is negative.
	WithinRel  float64 `json:"within_rel"`
	BetweenRel float64 `json:"between_rel"`
}
