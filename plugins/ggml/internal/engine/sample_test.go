package engine

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/llenergymeasure/llem/sdk"
)

// frequencies draws often.
func frequencies(s sdk.Sampling, logits []float32) []float64 {
	const draws = 20000
	random := rand.New(rand.NewPCG(3, 4))
	sampler := sampler{Sampling: s}
	shares := make([]float64, len(logits))
	for range draws {
		shares[sampler.draw(logits, random)] += 1. / draws
	}
	return shares
}

func TestDrawsFollowTheDistribution(t *testing.T) {
	logits := []float32{0, 2, 1, -3, 2}
	e := func(x float64) float64 { return math.Exp(x) }
	for _, c := range []struct {
		sampling sdk.Sampling
		weights  []float64 // of the tokens, up to a factor
	}{
		{sdk.Sampling{}, []float64{0, 1, 0, 0, 0}}, // greedy: the first of equals
		{sdk.Sampling{Temperature: 1}, []float64{e(0), e(2), e(1), e(-3), e(2)}},
		{sdk.Sampling{Temperature: 2}, []float64{e(0), e(1), e(.5), e(-1.5), e(1)}},
		{sdk.Sampling{Temperature: 1, TopK: 3}, []float64{0, e(2), e(1), 0, e(2)}},
		{sdk.Sampling{Temperature: 1, TopK: 2}, []float64{0, 1, 0, 0, 1}},
		{sdk.Sampling{Temperature: 1, TopK: 99}, []float64{e(0), e(2), e(1), e(-3), e(2)}},
		{sdk.Sampling{Temperature: 1, TopP: 0.39}, []float64{0, 1, 0, 0, 0}},
		{sdk.Sampling{Temperature: 1, TopP: 0.5}, []float64{0, 1, 0, 0, 1}},
		{sdk.Sampling{Temperature: 1, TopP: 1}, []float64{e(0), e(2), e(1), e(-3), e(2)}},
		// The share is that of the three that are left: 42 % each for the two.
		{sdk.Sampling{Temperature: 1, TopK: 3, TopP: 0.8}, []float64{0, 1, 0, 0, 1}},
	} {
		var total float64
		for _, w := range c.weights {
			total += w
		}
		for id, share := range frequencies(c.sampling, logits) {
			// Five standard deviations of a share; the seed is fixed anyway.
			p := c.weights[id] / total
			if math.Abs(share-p) > 5*math.Sqrt(p*(1-p)/20000)+1e-9 {
				t.Errorf("%+v: token %d has the share %.4f, want %.4f", c.sampling, id, share, p)
			}
		}
	}
}

// Dividing gives what sorting would.
func TestHeadIsTheMostLikely(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logits := rapid.SliceOfN(rapid.IntRange(-5, 5), 1, 40).Draw(t, "logits")
		n := rapid.IntRange(1, len(logits)+1).Draw(t, "n")
		var list []candidate
		for i, v := range logits {
			list = append(list, candidate{id: uint32(i), logit: float32(v)})
		}
		byLikelihood := func(a, b candidate) int { return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id)) }
		want := slices.SortedFunc(slices.Values(list), byLikelihood)[:min(n, len(list))]
		got := head(list, float64(n), func(candidate) float64 { return 1 })
		slices.SortFunc(got, byLikelihood)
		if !slices.Equal(got, want) {
			t.Errorf("the head is %v, want %v", got, want)
		}
	})
}

func BenchmarkDraw(b *testing.B) {
	logits := make([]float32, 32000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range logits {
		logits[i] = float32(random.NormFloat64())
	}
	for name, s := range map[string]sdk.Sampling{
		"greedy": {}, "temperature": {Temperature: 1}, "top 40": {Temperature: 1, TopK: 40}, "top p 0.9": {Temperature: 1, TopP: 0.9},
	} {
		b.Run(name, func(b *testing.B) {
			sampler := sampler{Sampling: s}
			for b.Loop() {
				sampler.draw(logits, random)
			}
		})
	}
}
