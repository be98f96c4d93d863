package report

import (
	"math"
	"strconv"

	"github.com/llenergymeasure/llem/core/stats"
)

// decimals behind the point: two digits of the interval's half-width, at least
// three and at most six digits of the value; four where there is no interval.
func decimals(e stats.Estimate) int {
	size := magnitude(e.Centre)
	if !e.HasInterval() {
		return max(0, 3-size)
	}
	half := magnitude((*e.Hi - *e.Lo) / 2)
	return max(0, min(max(1-half, 2-size), 5-size))
}

// magnitude is the power of ten of the first digit.
func magnitude(v float64) int {
	if v == 0 {
		return -9
	}
	return int(math.Floor(math.Log10(math.Abs(v))))
}

func digits(v float64, decimals int) string {
	return strconv.FormatFloat(v, 'f', min(decimals, 12), 64)
}
