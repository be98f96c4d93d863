package stats

import (
	"fmt"
	"math"
	"testing"
)

// A nominal 95 % t interval must hold the truth in 95 % of studies, and the paired
// comparison of equal arms must cry wolf in 5 %, whatever the blocks do.
func TestNominalCoverage(t *testing.T) {
	rng := splitmix64(2024)
	normal := func() float64 { return normalQuantile((float64(rng.next()>>11) + 0.5) / (1 << 53)) }
	rows := vectors[struct {
		Rows []struct {
			Population string
			N          int
			Coverage   map[string]float64
		}
	}](t, "coverage_simulation_nominal_95").Rows
	const trials = 4000
	checked := 0
	for _, row := range rows {
		if row.Population != "normal cv1%" || row.N > 10 {
			continue
		}
		checked++
		hit, alarms := 0, 0
		for range trials {
			x, y := make([]float64, row.N), make([]float64, row.N)
			for i := range x {
				block := math.Exp(0.05 * normal())
				x[i] = 100 + normal()
				y[i] = block * math.Exp(0.01*normal())
			}
			ci, err := TInterval(x)
			if err != nil {
				t.Fatal(err)
			}
			if ci.Lo <= 100 && 100 <= ci.Hi {
				hit++
			}
			other := make([]float64, row.N)
			for i := range other {
				other[i] = y[i] * math.Exp(0.01*normal())
			}
			c, err := ComparePaired(Spec{Metric: "m", Unit: "J"}, y, other)
			if err != nil {
				t.Fatal(err)
			}
			if c.Resolved {
				alarms++
			}
		}
		name := fmt.Sprintf("n = %d", row.N)
		// Three standard errors of 4,000 trials at 5 %.
		if got := float64(hit) / trials; math.Abs(got-row.Coverage["t"]) > 0.011+0.009 || math.Abs(got-0.95) > 0.011 {
			t.Errorf("%s: t covers %.4f, reference simulation %.4f", name, got, row.Coverage["t"])
		}
		if got := float64(alarms) / trials; math.Abs(got-0.05) > 0.011 {
			t.Errorf("%s: %.4f false alarms", name, got)
		}
	}
	if checked < 3 {
		t.Fatalf("only %d rows of the reference simulation", checked)
	}
}

func TestRefusals(t *testing.T) {
	nan := math.NaN()
	for name, f := range map[string]func() error{
		"t of one":         func() error { _, err := TInterval([]float64{1}); return err },
		"t of NaN":         func() error { _, err := TInterval([]float64{1, nan}); return err },
		"bootstrap of one": func() error { _, err := BCaMean([]float64{1}, 1); return err },
		"bootstrap of NaN": func() error { _, err := BCaMean([]float64{1, nan}, 1); return err },
		"Grubbs of two":    func() error { _, err := Grubbs([]float64{1, 2}); return err },
		"Grubbs of NaN":    func() error { _, err := Grubbs([]float64{1, 2, nan}); return err },
		"grouped none":     func() error { _, err := SummarizeGrouped(Spec{}, nil); return err },
		"grouped NaN":      func() error { _, err := SummarizeGrouped(Spec{}, []float64{nan}); return err },
		"grouped overflow": func() error {
			_, err := SummarizeGrouped(Spec{}, []float64{math.MaxFloat64, math.MaxFloat64})
			return err
		},
		"blocks": func() error { _, err := CompareBlocks(Spec{}, Arm{Values: map[int]float64{1: nan}}, nil); return err },
		"family": func() error { return AdjustFamily([]Comparison{{P: &nan}}) },
	} {
		if f() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if v := CV([]float64{-1, 1}); !math.IsNaN(v) {
		t.Errorf("CV about a mean of zero = %g", v)
	}
	zero, err := SummarizeLoads(Spec{Metric: "m"}, [][]float64{{-1}, {1}})
	if err != nil || zero.CV != nil || zero.RandomRel != nil || !zero.HasInterval() {
		t.Errorf("a mean of zero: %+v, %v", zero, err)
	}
	single, err := SummarizeGrouped(Spec{Metric: "m"}, []float64{3})
	if err != nil || !single.Has(CodeSingleCycle) || !single.Has(CodeSingleLoad) || single.Has(CodeDrift) {
		t.Errorf("%+v, %v", single, err)
	}
	flat, err := Grubbs([]float64{4, 4, 4})
	if err != nil || flat.Outlier {
		t.Errorf("%+v, %v", flat, err)
	}
	if q := TQuantile(0.975, math.Inf(1)); math.Abs(q-1.959963984540054) > 1e-9 {
		t.Errorf("t at infinite degrees of freedom = %g", q)
	}
}
