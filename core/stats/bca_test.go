package stats

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type bcaVector struct {
	Theta     *float64 `json:"theta_hat"`
	CountLess int      `json:"count_lt"`
	CountLE   int      `json:"count_le"`
	Z0        float64
	A         float64 `json:"a_hat"`
	Alpha1    float64
	Alpha2    float64
	Lo, Hi    float64
	Seed      uint64
	First     []float64 `json:"theta_b_first5"`
	Sum       float64   `json:"theta_b_sum"`
	SE        float64   `json:"boot_se_ddof1"`
	Runs      struct {
		AcceptLo []float64 `json:"accept_lo"`
		AcceptHi []float64 `json:"accept_hi"`
	} `json:"scipy_rng_200_runs"`
}

func (v bcaVector) check(t *testing.T, name string, r BCaResult) {
	t.Helper()
	near(t, name+" acceleration", r.A, v.A, 1e-9)
	if r.Lo < v.Runs.AcceptLo[0] || r.Lo > v.Runs.AcceptLo[1] || r.Hi < v.Runs.AcceptHi[0] || r.Hi > v.Runs.AcceptHi[1] {
		t.Errorf("%s: [%g, %g] is outside what other generators give: %v, %v", name, r.Lo, r.Hi, v.Runs.AcceptLo, v.Runs.AcceptHi)
	}
	if v.Theta == nil { // not integer data: ties are not exact
		return
	}
	near(t, name+" theta", r.Theta, *v.Theta, 1e-12)
	if r.CountLess != v.CountLess || r.CountLessEqual != v.CountLE {
		t.Errorf("%s: counts %d, %d, want %d, %d", name, r.CountLess, r.CountLessEqual, v.CountLess, v.CountLE)
	}
	for i, want := range v.First {
		near(t, name+" replicate", r.replicates[i], want, 1e-12)
	}
	near(t, name+" z0", r.Z0, v.Z0, 1e-9)
	near(t, name+" alpha1", r.Alpha1, v.Alpha1, 1e-9)
	near(t, name+" alpha2", r.Alpha2, v.Alpha2, 1e-9)
	near(t, name+" lo", r.Lo, v.Lo, 1e-9)
	near(t, name+" hi", r.Hi, v.Hi, 1e-9)
	if v.SE != 0 {
		near(t, name+" se", r.SE, v.SE, 1e-9)
		near(t, name+" sum", Mean(r.replicates)*Resamples, v.Sum, 1e-9)
	}
}

func TestBCaMeanVectors(t *testing.T) {
	rows := vectors[map[string]bcaVector](t, "bca_mean_95")
	if len(rows) < 6 {
		t.Fatalf("only %d rows", len(rows))
	}
	for name, v := range rows {
		seed := v.Seed
		if seed == 0 {
			seed = 42
		}
		r, err := BCaMean(sample(t, name), seed)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v.check(t, name, r)
	}
}

func TestSplitmixVector(t *testing.T) {
	v := vectors[struct {
		Seed  uint64
		First []string `json:"first5"`
		Mod   []int    `json:"first10_mod10"`
	}](t, "splitmix64_check")
	rng, again := splitmix64(v.Seed), splitmix64(v.Seed)
	for i, want := range v.First {
		if got := rng.next(); want != uintString(got) {
			t.Errorf("draw %d = %d, want %s", i, got, want)
		}
	}
	var mod []int
	for range v.Mod {
		mod = append(mod, again.index(10))
	}
	if d := cmp.Diff(v.Mod, mod); d != "" {
		t.Error(d)
	}
}

func TestBCaEdges(t *testing.T) {
	for _, c := range vectors[[]struct {
		Case   string
		X      []*float64
		Lo, Hi *float64
		Error  string
	}](t, "scipy_edge_cases") {
		x := make([]float64, len(c.X))
		for i, p := range c.X {
			x[i] = math.NaN()
			if p != nil {
				x[i] = *p
			}
		}
		r, err := BCaMean(x, 1)
		switch {
		case c.Lo != nil && (err != nil || c.Case == "n=2" && (r.Lo != *c.Lo || r.Hi != *c.Hi)):
			t.Errorf("%s: %+v, %v", c.Case, r.Interval, err)
		case c.Lo == nil && err == nil:
			t.Errorf("%s: got %+v, want an error", c.Case, r.Interval)
		case c.Lo == nil && c.Error == "" && finite("", x) == nil && !errors.Is(err, ErrDegenerate):
			t.Errorf("%s: %v, want ErrDegenerate", c.Case, err)
		}
	}
}

// Resamples equal to the mean but for rounding are ties, not smaller: scaling
// integers to values without an exact float must not move the bias correction.
func TestBCaTiesSurviveRounding(t *testing.T) {
	whole, err := BCaMean([]float64{10, 11, 13, 12, 17}, 42)
	if err != nil {
		t.Fatal(err)
	}
	tenth, err := BCaMean([]float64{1.0, 1.1, 1.3, 1.2, 1.7}, 42)
	if err != nil {
		t.Fatal(err)
	}
	if whole.CountLess != tenth.CountLess || whole.CountLessEqual != tenth.CountLessEqual {
		t.Errorf("counts %d, %d became %d, %d", whole.CountLess, whole.CountLessEqual, tenth.CountLess, tenth.CountLessEqual)
	}
}
