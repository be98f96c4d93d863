package stats

import (
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func uintString(v uint64) string { return strconv.FormatUint(v, 10) }

func TestOutlierVectors(t *testing.T) {
	type row struct {
		Z        []float64 `json:"modified_z"`
		Flag     []int     `json:"flag_abs_gt_3_5"`
		G        float64   `json:"grubbs_G"`
		Index    int       `json:"grubbs_index"`
		Critical float64   `json:"grubbs_crit_two_sided_05"`
		Outlier  bool      `json:"grubbs_outlier"`
		X        []float64
		Fallback float64 `json:"modified_z_fallback_last"`
	}
	for name, v := range vectors[map[string]row](t, "outliers") {
		if v.X != nil {
			z := ModifiedZ(v.X)
			near(t, name, z[len(z)-1], v.Fallback, 1e-6)
			continue
		}
		x := sample(t, name)
		for i, z := range ModifiedZ(x) {
			near(t, name+" z", z, v.Z[i], 1e-9)
		}
		if d := cmp.Diff(v.Flag, append([]int{}, Outliers(x)...)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		g, err := Grubbs(x)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+" G", g.G, v.G, 1e-9)
		near(t, name+" critical", g.Critical, v.Critical, 1e-9)
		if g.Index != v.Index || g.Outlier != v.Outlier {
			t.Errorf("%s: Grubbs %+v, want index %d, outlier %v", name, g, v.Index, v.Outlier)
		}
	}
	for _, row := range vectors[[][]float64](t, "grubbs_crit_two_sided_05") {
		near(t, "Grubbs limit", grubbsCritical(int(row[0])), row[1], 1e-8) // limited by the vectors' t quantile
	}
	if got := Outliers([]float64{3, 3, 3, 3}); got != nil {
		t.Errorf("equal values flagged: %v", got)
	}
}

func TestDriftVectors(t *testing.T) {
	for name, v := range vectors[map[string]map[string]float64](t, "drift") {
		d, ok := DriftOf(sample(t, name))
		if !ok {
			t.Fatalf("%s: no drift computed", name)
		}
		for key, got := range map[string]float64{
			"ols_slope": d.Slope, "ols_intercept": d.Intercept, "slope_se": d.SlopeSE, "drift_over_run_rel": d.RunRel,
			"theil_sen": d.TheilSen, "mann_kendall_S": float64(d.S), "mk_var": d.Var, "mk_z": d.Z, "mk_p": d.MannKendallP, "lag1_autocorr": d.Lag1,
		} {
			want, there := v[key]
			if !there {
				t.Fatalf("%s lacks %s", name, key)
			}
			near(t, name+" "+key, got, want, 1e-9)
		}
		if math.Abs(d.P/v["p"]-1) > 1e-7 {
			t.Errorf("%s p = %g, want %g", name, d.P, v["p"])
		}
		if d.Present != (name == "drift12") {
			t.Errorf("%s: drift present = %v", name, d.Present)
		}
	}
	for _, x := range [][]float64{nil, {1}, {1, 2}, {5, 5, 5}, {1, 2, math.NaN()}} {
		if d, ok := DriftOf(x); ok {
			t.Errorf("DriftOf(%v) = %+v", x, d)
		}
	}
	if d, ok := DriftOf([]float64{1, 2, 3, 4, 5, 6}); !ok || !d.Present || math.IsNaN(d.P) {
		t.Errorf("a perfect line: %+v", d)
	}
}

// A trend that is certain but below 1 % of the mean is no drift.
func TestSmallTrendIsNoDrift(t *testing.T) {
	x := []float64{100, 100.1, 100.2, 100.3, 100.4, 100.5, 100.6, 100.7}
	if d, ok := DriftOf(x); !ok || d.MannKendallP >= 0.05 || d.Present {
		t.Errorf("%+v", d)
	}
}

func TestMannKendallTies(t *testing.T) {
	// (6·5·17 - 2·1·9 - 3·2·11)/18 by hand.
	d, ok := DriftOf([]float64{1, 1, 2, 3, 3, 3})
	if !ok {
		t.Fatal("no drift computed")
	}
	near(t, "variance with ties", d.Var, 426.0/18, 1e-12)
}
