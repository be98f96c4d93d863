package stats

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type compareVector struct {
	A, B   []float64
	Welch  map[string]any `json:"welch_B_minus_A"`
	Paired struct {
		Ratio    float64   `json:"geo_ratio"`
		Interval []float64 `json:"ratio95"`
	} `json:"paired_log_ratio"`
	Unpaired struct {
		Ratio    float64   `json:"geo_ratio"`
		Interval []float64 `json:"ratio95"`
		DF       float64
	} `json:"unpaired_log_ratio_welch"`
}

var joulePerToken = Spec{Metric: "energy", Unit: "J/token", Boundary: "gpu[GPU-1]"}

func TestCompareVectors(t *testing.T) {
	v := vectors[compareVector](t, "compare_A_B")
	c, err := ComparePaired(joulePerToken, v.A, v.B)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "paired ratio", c.Ratio, v.Paired.Ratio, 1e-12)
	near(t, "paired lo", *c.Lo, v.Paired.Interval[0], 1e-9)
	near(t, "paired hi", *c.Hi, v.Paired.Interval[1], 1e-9)
	if !c.Resolved || c.CandidateBetter == nil || !*c.CandidateBetter {
		t.Errorf("9 %% less energy is not better: %+v", c)
	}
	c, err = CompareWelch(joulePerToken, v.A, v.B)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "unpaired ratio", c.Ratio, v.Unpaired.Ratio, 1e-12)
	near(t, "unpaired df", *c.DF, v.Unpaired.DF, 1e-9)
	near(t, "unpaired lo", *c.Lo, v.Unpaired.Interval[0], 1e-9)
	near(t, "unpaired hi", *c.Hi, v.Unpaired.Interval[1], 1e-9)

	w := welch(v.A, v.B)
	near(t, "Welch difference", w.diff, v.Welch["diff"].(float64), 1e-12)
	near(t, "Welch se", w.se, v.Welch["se"].(float64), 1e-9)
	near(t, "Welch df", w.df, v.Welch["df"].(float64), 1e-9)
	near(t, "Welch p", tPTwoSided(w.diff/w.se, w.df)*1e6, v.Welch["p_two_sided"].(float64)*1e6, 1e-8)
}

func TestCompareEdges(t *testing.T) {
	for _, bad := range [][2][]float64{{{}, {}}, {{1}, {1, 2}}, {{1, 0}, {1, 2}}, {{1, -1}, {1, 2}}, {{1, math.NaN()}, {1, 2}}, {{1, 2}, {math.Inf(1), 2}}} {
		if c, err := ComparePaired(joulePerToken, bad[0], bad[1]); err == nil {
			t.Errorf("ComparePaired(%v) = %+v, want an error", bad, c)
		}
	}
	for name, compare := range map[string]func(Spec, []float64, []float64) (Comparison, error){"paired": ComparePaired, "welch": CompareWelch} {
		one, err := compare(joulePerToken, []float64{2}, []float64{1})
		if err != nil || one.Ratio != 0.5 || one.Lo != nil || one.P != nil || one.Resolved || len(one.Warnings) != 1 || one.Warnings[0].Code != CodeSingleCycle {
			t.Errorf("%s of one value: %+v, %v", name, one, err)
		}
		flat, err := compare(joulePerToken, []float64{2, 2, 2}, []float64{1, 1, 1})
		if err != nil || flat.Lo != nil || flat.P != nil || flat.Resolved || len(flat.Warnings) != 1 || flat.Warnings[0].Code != CodeDegenerate {
			t.Errorf("%s without spread: %+v, %v", name, flat, err)
		}
	}
	rate, err := ComparePaired(Spec{Metric: "speed", Unit: "tokens/s"}, []float64{10, 10.1, 9.9}, []float64{9, 9.05, 8.95})
	if err != nil || rate.CandidateBetter == nil || *rate.CandidateBetter {
		t.Errorf("fewer tokens/s counted as better: %+v, %v", rate, err)
	}
}

func TestHolmVector(t *testing.T) {
	v := vectors[struct {
		P    []float64 `json:"p_sorted"`
		Holm []float64
	}](t, "multiple_comparisons")
	got, err := Holm(v.P)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		near(t, "Holm", got[i], v.Holm[i], 1e-12)
	}
	// Order must not matter.
	shuffled, err := Holm([]float64{v.P[3], v.P[0], v.P[4], v.P[2], v.P[1]})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float64{got[3], got[0], got[4], got[2], got[1]}, shuffled); d != "" {
		t.Error(d)
	}
	if _, err := Holm([]float64{0.1, math.NaN()}); err == nil {
		t.Error("a NaN p-value was accepted")
	}
}

func TestMDDVectors(t *testing.T) {
	rows := vectors[[]struct {
		CV       float64
		N        int     `json:"n_per_arm"`
		Unpaired float64 `json:"unpaired_approx"`
		Exact    float64 `json:"unpaired_exact_nct"`
		Paired   float64 `json:"paired_approx_if_cv_is_of_differences"`
	}](t, "minimal_detectable_difference_80pct_power_5pct")
	if len(rows) < 12 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, r := range rows {
		name := fmt.Sprintf("cv %g n %d", r.CV, r.N)
		n := float64(r.N)
		unpaired, paired := mdd(r.CV*math.Sqrt(2/n), 2*n-2), mdd(r.CV/math.Sqrt(n), n-1)
		near(t, name+" unpaired", unpaired/r.CV, r.Unpaired/r.CV, 1e-9)
		near(t, name+" paired", paired/r.CV, r.Paired/r.CV, 1e-9)
		near(t, name+" unpaired, by the test's own power", unpaired/r.CV, r.Exact/r.CV, 0.012)
	}
}

func TestCompareBlocksPools(t *testing.T) {
	// Block effects are large, residuals of about 1e-3 known: arms are 1, 0.9, 1.0005.
	noise := [][]float64{{1, -2, 0.5, 1, -0.5}, {-1, 1.5, 0, -1, 0.5}, {0.5, 0, -1.5, 0.5, 0.5}}
	level := []float64{100, 103, 97, 110, 91}
	factor := []float64{1, 0.9, 1.0005}
	var arms []Arm
	for k := range factor {
		arm := Arm{Name: fmt.Sprint("arm", k), Values: map[int]float64{}}
		for b := range level {
			arm.Values[b] = level[b] * factor[k] * math.Exp(noise[k][b]*1e-3)
		}
		arms = append(arms, arm)
	}
	got, err := CompareBlocks(joulePerToken, arms[0], arms[1:])
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if c.Method != MethodBlocksPool || *c.DF != 8 || c.PAdjusted == nil {
			t.Errorf("%+v", c)
		}
		near(t, "ratio", c.Ratio, factor[i+1], 2e-3)
	}
	if !got[0].Resolved || !*got[0].CandidateBetter || got[1].Resolved || got[1].CandidateBetter != nil {
		t.Errorf("verdicts: %+v", got)
	}

	// The pooled residual by hand: two-way means removed from the noise.
	sum := 0.0
	for k := range noise {
		for b := range level {
			block := (noise[0][b] + noise[1][b] + noise[2][b]) / 3
			grand := (Mean(noise[0]) + Mean(noise[1]) + Mean(noise[2])) / 3
			r := (noise[k][b] - Mean(noise[k]) - block + grand) * 1e-3
			sum += r * r
		}
	}
	half := tTwoSided(8) * math.Sqrt(2*sum/8/5)
	near(t, "pooled interval", math.Log(*got[0].Hi / *got[0].Lo)/2, half, 1e-9)

	// One wild arm: no pooling, and it is said.
	for b := range level {
		arms[2].Values[b] = level[b] * math.Exp(0.3*noise[2][b])
	}
	got, err = CompareBlocks(joulePerToken, arms[0], arms[1:])
	if err != nil || got[0].Method != MethodPairedLog || got[0].Warnings[0].Code != CodeUnequalSpread {
		t.Errorf("%+v, %v", got, err)
	}

	// A missing block: pairs on what both have, and it is said.
	delete(arms[1].Values, 3)
	got, err = CompareBlocks(joulePerToken, arms[0], arms[1:2])
	if err != nil || got[0].N != 4 || got[0].Warnings[0].Code != CodeIncompleteBlocks || *got[0].Warnings[0].Value != 1 ||
		!strings.HasSuffix(got[0].Warnings[0].Message, " is of blocks 1-3, 5, which both have; the mean of "+arms[0].Name+" is of blocks 1-5") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := CompareBlocks(joulePerToken, arms[0], []Arm{{Name: "elsewhere", Values: map[int]float64{77: 1}}}); err == nil {
		t.Error("arms without a common block were compared")
	}
}

func TestBlockTextCountsFromOne(t *testing.T) {
	for want, blocks := range map[string][]int{"block 1": {0}, "blocks 1-3": {0, 1, 2}, "blocks 2, 4-5, 9": {1, 3, 4, 8}} {
		if got := BlockText(blocks); got != want {
			t.Errorf("%v: %q, want %q", blocks, got, want)
		}
	}
}

// Holm takes back a verdict that one comparison alone would have given.
func TestFamilyTakesVerdictsBack(t *testing.T) {
	family := []Comparison{}
	for _, p := range []float64{0.03, 0.04, 0.6} {
		c := Comparison{Ratio: 0.9, Direction: Lower, P: ptr(p)}
		c.judge()
		family = append(family, c)
	}
	if !family[0].Resolved || family[0].CandidateBetter == nil {
		t.Fatalf("alone: %+v", family[0])
	}
	if err := AdjustFamily(append([]Comparison{{}}, family...)); err != nil {
		t.Fatal(err)
	}
	if err := AdjustFamily(family); err != nil {
		t.Fatal(err)
	}
	if family[0].Resolved || family[0].CandidateBetter != nil || math.Abs(*family[0].PAdjusted-0.09) > 1e-12 {
		t.Errorf("in the family: %+v", family[0])
	}
}
