package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Cells that differ by factors are pooled without their differences, and the
// bounds cover the truth at least as often as they say.
func TestPooledComponentsCover(t *testing.T) {
	const within, between, studies = 0.004, 0.006, 2000
	r := rand.New(rand.NewPCG(3, 4))
	held := [2]int{}
	var sum [2]float64
	for range studies {
		var cells [][][]float64
		for cell := range 3 {
			var loads [][]float64
			for range 4 {
				load := float64(cell+1) * (1 + between*r.NormFloat64())
				var windows []float64
				for range 2 + cell%2 {
					windows = append(windows, load*(1+within*r.NormFloat64()))
				}
				loads = append(loads, windows)
			}
			cells = append(cells, loads)
		}
		c := PooledComponents(cells)
		if c.Loads != 12 || c.Windows != 28 {
			t.Fatalf("%+v", c)
		}
		sum[0] += c.WithinRel * c.WithinRel
		sum[1] += c.BetweenRel * c.BetweenRel
		if c.WithinLoRel <= within && within <= c.WithinHiRel {
			held[0]++
		}
		if c.BetweenLoRel <= between && between <= c.BetweenHiRel {
			held[1]++
		}
	}
	near(t, "within", math.Sqrt(sum[0]/studies), within, 0.02)
	near(t, "between", math.Sqrt(sum[1]/studies), between, 0.03)
	for i, n := range held {
		if share := float64(n) / studies; share < 0.93 || share > 0.985 {
			t.Errorf("component %d: the bounds hold the truth in %.1f %%", i, 100*share)
		}
	}
	if PooledComponents(nil) != nil || PooledComponents([][][]float64{{{1, 2}}, {{1}, {2}}}) == nil || PooledComponents([][][]float64{{{1, 2}}, {{3, 4}}}) != nil {
		t.Error("what can be split is told wrongly")
	}
}

// The doubt about a spread below the modelled one is raised by chance in 5 %, and
// nearly always where the spread is a tenth of it.
func TestSpreadBelowTheModelledEdge(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	share := func(sd float64, edge *float64) float64 {
		const studies = 4000
		raised := 0
		for range studies {
			var loads [][]float64
			for range 5 {
				loads = append(loads, []float64{1 + sd*r.NormFloat64()})
			}
			e, err := SummarizeLoads(Spec{EdgeRel: edge}, loads)
			if err != nil {
				t.Fatal(err)
			}
			if e.Has(CodeBelowEdgeModel) {
				raised++
			}
		}
		return float64(raised) / studies
	}
	edge := 0.01
	if s := share(edge, &edge); s < 0.04 || s > 0.06 {
		t.Errorf("raised by chance in %.1f %%", 100*s)
	}
	if s := share(edge/10, &edge); s < 0.99 {
		t.Errorf("raised in %.1f %% where it should be", 100*s)
	}
	if s := share(edge, nil); s != 0 {
		t.Errorf("raised without a model in %.1f %%", 100*s)
	}
}

func TestCoverageFactor(t *testing.T) {
	near(t, "n = 3", CoverageFactor(3), 4.302652729749464, 1e-12)
	if CoverageFactor(1) != 0 {
		t.Error("one sample has no factor")
	}
}

func TestValuesEqualButForRounding(t *testing.T) {
	edge, tenth := 0.01, 0.1 // of variables, so that the sum is rounded
	e, err := SummarizeLoads(Spec{EdgeRel: &edge}, [][]float64{{tenth + 2*tenth}, {0.3}, {0.3}})
	if err != nil || !e.Has(CodeDegenerate) || e.Has(CodeBelowEdgeModel) {
		t.Errorf("%+v, %v", e.Warnings, err)
	}
}
