package result

// Quantiles of a latency in nanoseconds over N requests that did not fail, or over
// N gaps between the arrivals of such requests.
type Quantiles struct {
	N int `json:"n"`
	// Without counts the requests that did not fail and have no such latency, for
	// want of a stamp or of a second token.
	Without int   `json:"without,omitempty"`
	MeanNs  int64 `json:"mean_ns"`
	P50Ns   int64 `json:"p50_ns"`
	// P90Ns and above are nil where there are too few requests; Absent says so by
	// name ("p99").
	P90Ns  *int64            `json:"p90_ns"`
	P95Ns  *int64            `json:"p95_ns"`
	P99Ns  *int64            `json:"p99_ns"`
	Absent map[string]string `json:"absent,omitempty"`
	// Bounds of a quantile within this window, 95 %, from the order statistics of
	// its requests; nil for gaps, which hang together within a request.
	P50BoundsNs *[2]int64 `json:"p50_bounds_ns,omitempty"`
	P90BoundsNs *[2]int64 `json:"p90_bounds_ns,omitempty"`
	P95BoundsNs *[2]int64 `json:"p95_bounds_ns,omitempty"`
	P99BoundsNs *[2]int64 `json:"p99_bounds_ns,omitempty"`
}

// Between says what lies at the two ends of a gap.
type Between string

// The ends of gaps.
const (
	// BetweenTokens: each arrival held one token, so the gaps are ITL.
	BetweenTokens Between = "tokens"
	// BetweenChunks: some held several, whose own times are not known.
	BetweenChunks Between = "chunks"
)

// ArrivalGaps are the times between neighbouring arrivals of output in the requests
// of a window.
type ArrivalGaps struct {
	Between Between `json:"between"`
	// TokensPerChunk is the mean over the arrivals.
	TokensPerChunk float64   `json:"tokens_per_chunk"`
	Gaps           Quantiles `json:"gaps"`
}

// Goodput counts the requests of a window that met every limit of the study. The
// limits that the study sets are not nil.
type Goodput struct {
	TTFTMs *float64 `json:"ttft_ms,omitempty"`
	TPOTMs *float64 `json:"tpot_ms,omitempty"`
	E2EMs  *float64 `json:"e2e_ms,omitempty"`
	// Requests are those of the window, with the failed ones. Those in Met are within
	// every limit; neither failed ones are, nor the Unknown, which lack a latency
	// that a limit is on.
	Requests int64 `json:"requests"`
	Met      int64 `json:"met"`
	Unknown  int64 `json:"unknown,omitempty"`
	// RequestsPerS and Share are of those that met; nil with the reason in Absent
	// where a limit is on what no request has.
	RequestsPerS *float64 `json:"requests_per_s"`
	Share        *float64 `json:"share"`
	// RequestsPerJ is nil where the window has no energy, too.
	RequestsPerJ *float64 `json:"requests_per_j"`
	Absent       string   `json:"absent,omitempty"`
}
