package energy

import (
	"fmt"
	"math"
)

// DurationText prints a duration as people say it: 25 ms, 8.3 s, 120 s.
func DurationText(ns int64) string {
	switch s := seconds(ns); {
	case math.Abs(s) >= 100:
		return fmt.Sprintf("%.0f s", s)
	case math.Abs(s) >= 0.9995: // else three digits of ms would be 1e+03
		return fmt.Sprintf("%.3g s", s)
	default:
		return fmt.Sprintf("%.3g ms", 1000*s)
	}
}

// lengthText prints a share of a window's length, which a hole around it may exceed.
func lengthText(share float64) string {
	switch pct := 100 * share; {
	case pct >= 150:
		return fmt.Sprintf("%.1f times its length", share)
	case pct >= 10:
		return fmt.Sprintf("%.0f %% of its length", pct)
	default:
		return fmt.Sprintf("%.2g %% of its length", pct)
	}
}
