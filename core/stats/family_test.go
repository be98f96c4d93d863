package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// What a family says that it would show is shown about as often as is promised,
// after Holm, whatever the number of arms.
func TestFamilyShowsWhatItSaysItWould(t *testing.T) {
	const blocks, sd, studies = 5, 0.01, 2000
	for _, k := range []int{2, 4, 8} {
		r := rand.New(rand.NewPCG(31, uint64(k)))
		df := float64(blocks-1) * float64(max(1, k-1))
		difference := mddAt(0.05/float64(k-1), sd*math.Sqrt(2.0/blocks), df)
		shown, sum := 0, 0.0
		for range studies {
			arms := make([]Arm, k)
			for i := range arms {
				arms[i] = Arm{Name: fmt.Sprint(i), Values: map[int]float64{}}
				for b := range blocks {
					v := sd * r.NormFloat64()
					if i == 1 {
						v += difference
					}
					arms[i].Values[b] = math.Exp(v)
				}
			}
			list, err := CompareBlocks(joulePerToken, arms[0], arms[1:])
			if err != nil {
				t.Fatal(err)
			}
			if list[0].Resolved {
				shown++
			}
			sum += math.Log1p(*list[0].MDDRel) / studies
		}
		// Some pairs stand alone, and their error is scattered more.
		if share := float64(shown) / studies; share < 0.76 || share > 0.84 {
			t.Errorf("%d arms: a difference of the size told is resolved in %.1f %%", k, 100*share)
		}
		near(t, fmt.Sprintf("%d arms: mean difference told", k), sum, difference, 0.08)
	}
}

// Adjusting a family twice changes nothing more.
func TestFamilyIsAdjustedOnce(t *testing.T) {
	arms := []Arm{{"a", map[int]float64{0: 1, 1: 1.02, 2: 0.99}}, {"b", map[int]float64{0: 1.01, 1: 1.01, 2: 1}}, {"c", map[int]float64{0: 0.99, 1: 1.03, 2: 0.97}}}
	list, err := CompareBlocks(joulePerToken, arms[0], arms[1:])
	if err != nil {
		t.Fatal(err)
	}
	before := *list[0].MDDRel
	if err := AdjustFamily(list); err != nil || math.Abs(*list[0].MDDRel/before-1) > 1e-12 {
		t.Errorf("%g, then %g, %v", before, *list[0].MDDRel, err)
	}
}

// Values whose ratios are equal but for rounding resolve nothing.
func TestRatiosEqualButForRounding(t *testing.T) {
	a := []float64{0.1, 0.2, 0.3, 0.7}
	b := make([]float64, len(a))
	for i, v := range a {
		b[i] = v * 1.1
	}
	c, err := ComparePaired(joulePerToken, a, b)
	if err != nil || c.Resolved || c.P != nil || c.Lo != nil || c.MDDRel != nil || len(c.Warnings) != 1 || c.Warnings[0].Code != CodeDegenerate {
		t.Errorf("paired: %+v, %v", c, err)
	}
	arms := func(by ...float64) (out []Arm) {
		for k, f := range by {
			arm := Arm{Name: fmt.Sprint(k), Values: map[int]float64{}}
			for i, v := range a {
				arm.Values[i] = v * f
			}
			out = append(out, arm)
		}
		return out
	}(1, 1.1, 1.3)
	list, err := CompareBlocks(joulePerToken, arms[0], arms[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.Resolved || c.P != nil || c.Lo != nil {
			t.Errorf("blocks: %+v", c)
		}
	}
}
