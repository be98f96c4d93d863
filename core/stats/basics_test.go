package stats

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

func TestDescriptiveVectors(t *testing.T) {
	type row struct {
		N           int
		Mean        float64
		Std         float64 `json:"std_ddof1"`
		CV          float64
		T95         []float64
		HalfRel     float64 `json:"t95_halfwidth_rel"`
		Median      float64
		Percentiles map[string]float64
	}
	rows := vectors[map[string]row](t, "descriptive")
	if len(rows) < 5 {
		t.Fatalf("only %d rows", len(rows))
	}
	for name, want := range rows {
		x := sample(t, name)
		near(t, name+" mean", Mean(x), want.Mean, 1e-12)
		near(t, name+" std", StdDev(x), want.Std, 1e-12)
		near(t, name+" cv", CV(x), want.CV, 1e-12)
		near(t, name+" median", Median(x), want.Median, 1e-12)
		ci, err := TInterval(x)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+" t lo", ci.Lo, want.T95[0], 1e-9)
		near(t, name+" t hi", ci.Hi, want.T95[1], 1e-9)
		for p, v := range want.Percentiles {
			share, _ := strconv.ParseFloat(p, 64)
			near(t, fmt.Sprintf("%s p%s", name, p), percentileSorted(slices.Sorted(slices.Values(x)), share/100), v, 1e-12)
		}
		e, err := SummarizeLoads(Spec{Metric: "m", Unit: "J/token"}, oneWindow(x))
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+" half-width", *e.RandomRel, want.HalfRel, 1e-9)
	}
}

func TestQuantileVectors(t *testing.T) {
	for _, row := range vectors[[][]float64](t, "ndtri") {
		near(t, fmt.Sprintf("normal quantile %g", row[0]), normalQuantile(row[0]), row[1], 1e-11)
	}
	for _, row := range vectors[[][]float64](t, "ndtr") {
		if got := normalCDF(row[0]); math.Abs(got/row[1]-1) > 1e-12 {
			t.Errorf("normal cdf %g = %.17g, want %.17g", row[0], got, row[1])
		}
	}
	for _, row := range vectors[[][]float64](t, "t_ppf") {
		for i, p := range []float64{.90, .95, .975, .99, .995} {
			// The vectors' own quantiles (scipy 1.10.1) are good to 5e-9 only, see the
			// closed forms below.
			near(t, fmt.Sprintf("t quantile %g df %g", p, row[0]), TQuantile(p, row[0]), row[i+1], 1e-8)
			near(t, "its mirror", TQuantile(1-p, row[0]), -row[i+1], 1e-8)
		}
	}
	for _, p := range []float64{.55, .8, .9, .95, .975, .99, .995, .9999} {
		near(t, fmt.Sprintf("t quantile %g df 1", p), TQuantile(p, 1), math.Tan(math.Pi*(p-0.5)), 1e-12)
		near(t, fmt.Sprintf("t quantile %g df 2", p), TQuantile(p, 2), (2*p-1)*math.Sqrt(2/(4*p*(1-p))), 1e-12)
		root := math.Sqrt(4 * p * (1 - p))
		df4 := 2 * math.Sqrt(math.Cos(math.Acos(root)/3)/root-1)
		near(t, fmt.Sprintf("t quantile %g df 4", p), TQuantile(p, 4), df4, 1e-12)
	}
	for _, df := range []float64{1, 2.5, 7, 30, 1000, 1e6} {
		for _, p := range []float64{1e-9, 1e-4, 0.025, 0.3, 0.49} {
			if back := tTail(-TQuantile(p, df), df); math.Abs(back/p-1) > 1e-10 {
				t.Errorf("df %g: tail of quantile %g = %g", df, p, back)
			}
		}
	}
	for _, row := range vectors[[][]float64](t, "t_cdf") {
		p := tPTwoSided(row[0], row[1])
		want := 2 * math.Min(row[2], 1-row[2])
		near(t, fmt.Sprintf("p of t = %g, df %g", row[0], row[1]), p, want, 1e-8)
	}
	for _, bad := range [][2]float64{{0, 3}, {1, 3}, {0.5, 0}, {0.5, -1}, {math.NaN(), 3}} {
		if q := TQuantile(bad[0], bad[1]); !math.IsNaN(q) {
			t.Errorf("TQuantile(%v) = %v, want NaN", bad, q)
		}
	}
}

func oneWindow(x []float64) [][]float64 {
	out := make([][]float64, len(x))
	for i, v := range x {
		out[i] = []float64{v}
	}
	return out
}
