package result

// Schedule is what an open loop's arrivals were drawn from: the same for every
// cell of a block that asks for the same, and new in each block.
type Schedule struct {
	Mode       string  `json:"mode"` // constant, poisson, gamma
	RatePerS   float64 `json:"rate_per_s"`
	Burstiness float64 `json:"burstiness,omitempty"`
	Seed       int64   `json:"seed"`
	Block      int     `json:"block"`
}

// Arrivals are what an open loop offered in a window.
type Arrivals struct {
	Requests int64   `json:"requests"`
	RatePerS float64 `json:"rate_per_s"`
	// LagGrowth is by how much the time from arrival to the last token grew, in s
	// for each s of arrivals, from the first to the last third of them; nil = too
	// few. LagGrowthError is its standard error.
	LagGrowth      *float64 `json:"lag_growth,omitempty"`
	LagGrowthError *float64 `json:"lag_growth_error,omitempty"`
}
