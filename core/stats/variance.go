package stats

import "math"

// Components splits the spread of windows grouped by load (one-way random
// effects, method of moments).
type Components struct {
	// Loads and Windows are the counts; WindowsPerLoad is the effective number of
	// windows per load (the common number, or less than the mean when unequal).
	Loads          int     `json:"loads"`
	Windows        int     `json:"windows"`
	WindowsPerLoad float64 `json:"windows_per_load"`
	// WithinRel and BetweenRel are standard deviations as fractions of the mean:
	// between windows of one load, and between loads beyond what their windows
	// explain. BetweenRel is 0 where the moment estimate is negative.
	WithinRel  float64 `json:"within_rel"`
	BetweenRel float64 `json:"between_rel"`
}

// componentsOf needs two loads and more windows than loads; nil otherwise.
//
// With the mean squares MSB between and MSW within, and n0 = (N - Σn²/N)/(k-1),
// the variance between loads is (MSB-MSW)/n0 (Searle, Casella, McCulloch 1992).
func componentsOf(loads [][]float64) *Components {
	k, total, squares, sum := len(loads), 0, 0, 0.0
	for _, l := range loads {
		total += len(l)
		squares += len(l) * len(l)
		for _, v := range l {
			sum += v
		}
	}
	if k < 2 || total <= k || sum == 0 {
		return nil
	}
	grand := sum / float64(total)
	var between, within float64
	for _, l := range loads {
		m := Mean(l)
		between += float64(len(l)) * (m - grand) * (m - grand)
		for _, v := range l {
			within += (v - m) * (v - m)
		}
	}
	msb, msw := between/float64(k-1), within/float64(total-k)
	n0 := (float64(total) - float64(squares)/float64(total)) / float64(k-1)
	return &Components{
		Loads: k, Windows: total, WindowsPerLoad: n0,
		WithinRel:  math.Sqrt(msw) / math.Abs(grand),
		BetweenRel: math.Sqrt(math.Max(0, (msb-msw)/n0)) / math.Abs(grand),
	}
}
