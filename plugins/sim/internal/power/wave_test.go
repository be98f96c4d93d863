package power

import (
	"math"
	"testing"
)

// The closed forms agree with a sum over At, also across periods and at stamps
// for which a float64 has not the digits.
func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	waves := []Wave{
		{Shape: Constant, BaseW: 100},
		{Shape: Square, BaseW: 40, AmplitudeW: 200, PeriodNs: 1000},
		{Shape: Sine, BaseW: 90, AmplitudeW: 30, PeriodNs: 900},
	}
	for _, wave := range waves {
		for _, fromNs := range []int64{0, 123, 1<<53 + 7, 1 << 60} {
			for _, lengthNs := range []int64{1, 250, 499, 501, 1000, 12345} {
				sum := 0.0
				for ns := fromNs; ns < fromNs+lengthNs; ns++ {
					sum += (wave.At(ns) + wave.At(ns+1)) / 2 * 1e-9
				}
				got := wave.EnergyJ(fromNs, fromNs+lengthNs)
				// A square's edge may fall between two stamps.
				if tolerance := wave.AmplitudeW * 1.01e-9; math.Abs(got-sum) > tolerance+1e-6*sum {
					t.Errorf("%s from %d for %d ns: %g J, the sum is %g J", wave.Shape, fromNs, lengthNs, got, sum)
				}
			}
		}
	}
}

func TestMeansOfWholePeriods(t *testing.T) {
	const second = int64(1e9)
	for _, c := range []struct {
		wave Wave
		want float64 // J of ten seconds
	}{
		{Wave{Shape: Constant, BaseW: 100}, 1000},
		{Wave{Shape: Square, BaseW: 100, AmplitudeW: 50, PeriodNs: second}, 1250},
		{Wave{Shape: Sine, BaseW: 100, AmplitudeW: 50, PeriodNs: second}, 1000},
	} {
		from := int64(987654321012345678)
		if got := c.wave.EnergyJ(from, from+10*second); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %.12g J, want %g", c.wave.Shape, got, c.want)
		}
	}
}
