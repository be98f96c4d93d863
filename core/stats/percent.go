package stats

import (
	"math"
	"strconv"
)

// leastPercent is where a share ends that anybody reads: what is below, such as the
// rounding of equal figures, is told to be so.
const leastPercent = 0.01

// Percent prints a share in two digits: 0.43 %, 5 %, 12 %, 130 %, and <0.01 %.
func Percent(share float64) string {
	switch v := 100 * share; {
	case v == 0:
		return "0 %"
	case math.Abs(v) < leastPercent:
		return "<0.01 %"
	default:
		return TwoDigits(v) + " %"
	}
}

// TwoDigits prints a figure in two digits, or whole if it has more before its point.
func TwoDigits(v float64) string {
	if math.Abs(v) >= 10 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
