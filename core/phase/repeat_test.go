package phase

import (
	"math"
	"math/rand/v2"
	"testing"
)

// repeated starts every shape of a design anew so many times, with loads whose
// joules scatter by noise.
func repeated(loads int, noise float64, r *rand.Rand) []Point {
	var out []Point
	for _, p := range design(0, 1, 8, 64) {
		for range loads {
			q := p
			q.EnergyJ *= 1 + noise*r.NormFloat64()
			out = append(out, q)
		}
	}
	return out
}

// What loads scatter by is no lack of fit: more of them make the worst shape's
// error smaller, and what the design cannot tell from one load it tells from five.
func TestRepeatsAreNoLackOfFit(t *testing.T) {
	const studies, noise = 40, 0.02
	given, held := map[int]int{}, 0
	for _, loads := range []int{1, 3, 5} {
		r := rand.New(rand.NewPCG(9, uint64(loads)))
		for range studies {
			f, err := Regress(repeated(loads, noise, r))
			if err != nil {
				continue
			}
			given[loads]++
			switch {
			case loads == 1:
				if f.RepeatRel != nil {
					t.Errorf("single loads scatter by %g", *f.RepeatRel)
				}
			case f.RepeatRel == nil || math.Abs(*f.RepeatRel/noise-1) > 0.5:
				t.Errorf("%d loads scatter by %v, want %g", loads, f.RepeatRel, noise)
			}
			decode, rel := f.known([parts]float64{partDecode: 1, partContext: 1000})
			if math.Abs(f.PrefillTokenJ/0.02-1) <= f.PrefillRel && math.Abs(decode/0.05-1) <= rel {
				held++
			}
		}
	}
	if given[1] > given[3] || given[3] > given[5] || given[5] < studies*9/10 {
		t.Errorf("of %d studies, by loads of each shape, were not refused: %v", studies, given)
	}
	if all := given[1] + given[3] + given[5]; float64(held) < 0.95*float64(all) {
		t.Errorf("of %d splits %d lie in their bounds", all, held)
	}
	t.Logf("not refused: %v of %d each, %d in their bounds", given, studies, held)
}

// What no fit can make good does not shrink with the number of loads.
func TestRepeatsHideNoLackOfFit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	points := repeated(20, 0.02, r)
	for i := range points {
		if !points[i].idle() {
			points[i].EnergyJ *= 1 + 0.3*math.Sin(points[i].PrefillTokens)
		}
	}
	if f, err := Regress(points); err == nil || f.LeaveOutRel <= mostLeaveOutRel {
		t.Errorf("%+v, %v", f, err)
	}
}
