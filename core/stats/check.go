package stats

import (
	"fmt"
	"math"
)

// finite refuses NaN and infinities by position. Dropping them would hide a failed
// trial inside a good-looking mean.
func finite(what string, x []float64) error {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: value %d of %d is %v; leave the failed trial out by name before statistics", what, i+1, len(x), v)
		}
	}
	return nil
}

// positive refuses values that have no logarithm.
func positive(what string, x []float64) error {
	if err := finite(what, x); err != nil {
		return err
	}
	for i, v := range x {
		if v <= 0 {
			return fmt.Errorf("%s: value %d of %d is %g; a ratio needs values above zero", what, i+1, len(x), v)
		}
	}
	return nil
}
