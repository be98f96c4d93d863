package measure

import (
	"fmt"
	"math"

	"github.com/llenergymeasure/llem/core/study"
	"github.com/llenergymeasure/llem/sdk"
)

// Forecast is what the measured Run of an open loop comes to. It is known before
// any load: arrivals do not wait for the engine.
type Forecast struct {
	// LeastS is how long requests are sent where conditioning is as short as the
	// study asks for, and LeastRequests what arrives in it on average.
	LeastS        float64
	LeastRequests int
	// Requests are prepared, for conditioning as long as it may get and for chance
	// in the arrivals: on average they last MostS.
	Requests int
	MostS    float64
}

// ForecastOpen tells of a cell with windows in each load, or nothing if it is no
// open loop.
func ForecastOpen(c study.Cell, windows int) (Forecast, bool) {
	if !isOpen(c) {
		return Forecast{}, false
	}
	p := c.Protocol
	f := Forecast{Requests: scheduledRequests(c, windows)}
	f.MostS = float64(f.Requests) / c.Load.Rate
	f.LeastS = p.ConditioningS + float64(windows)*p.WindowS + edgeRounds(c, windows)*float64(edgeStep(c))/c.Load.Rate
	f.LeastRequests = int(min(math.Ceil(c.Load.Rate*f.LeastS), math.MaxInt32))
	return f, true
}

// scheduledRequests is how many requests an open loop prepares: what arrives in
// the longest conditioning, all windows and the search for their edges, and five
// standard deviations more. It depends on the study alone, so that every block
// sends the same prompts.
func scheduledRequests(c study.Cell, windows int) int {
	p := c.Protocol
	longestS := float64(newSettleRule(p.ConditioningS).mostNs)/1e9 + float64(windows)*p.WindowS
	expected := c.Load.Rate*longestS*scheduleSurplus + edgeRounds(c, windows)*float64(edgeStep(c))
	return int(min(math.Ceil(expected+5*irregularity(c)*math.Sqrt(expected)), math.MaxInt32))
}

// scheduleSurplus is for looks at the Run that come late.
const scheduleSurplus = 1.1

// CheckSchedule refuses an open loop whose schedule is more than is made at once,
// where one second of it would not be (see CheckPass): its Run would end early.
func CheckSchedule(c study.Cell, windows int) []sdk.Diagnostic {
	if !isOpen(c) || len(CheckPass(c)) > 0 {
		return nil
	}
	wanted, most := scheduledRequests(c, windows), mostPasses(c.Workload, 1)
	if wanted <= most {
		return nil
	}
	p := c.Protocol
	advice := "shorten protocol.window_s or protocol.conditioning_s, or lower workload.input_tokens"
	if p.Regime == study.RegimeCooldown {
		advice = "shorten protocol.window_s, or lower workload.input_tokens"
	}
	if rate := greatestRate(c, windows, most); rate > 0 {
		advice = fmt.Sprintf("lower it to %.3g, %s", rate, advice)
	}
	return []sdk.Diagnostic{{
		Severity: sdk.SeverityError, KeyPath: "load.rate",
		Message: fmt.Sprintf("%d requests arrive in the %.0f s that the longest Run may take, and at most %d with %d input tokens are prepared at once (%d MiB)",
			wanted, float64(wanted)/c.Load.Rate, most, c.Workload.InputTokens, mostPreparedTokens*4>>20),
		Advice: advice,
	}}
}

// greatestRate is the greatest rate, to three digits, of which most requests are
// enough; 0 if there is none.
func greatestRate(c study.Cell, windows, most int) float64 {
	low, high := 0.0, c.Load.Rate
	for range 60 {
		c.Load.Rate = (low + high) / 2
		if scheduledRequests(c, windows) <= most {
			low = c.Load.Rate
		} else {
			high = c.Load.Rate
		}
	}
	if !(low > 1e-9) {
		return 0
	}
	digit := math.Pow(10, math.Floor(math.Log10(low))-2)
	return math.Floor(low/digit) * digit
}
