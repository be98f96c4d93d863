package measure

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/llenergymeasure/llem/sdk"
)

// stroll simulates a closed loop of c sequences out of step: each takes its own
// time for a prompt, as a scheduler that takes in some prompts at a time gives.
func stroll(seed uint64, c, each, tokens int) []sdk.Completion {
	r := rand.New(rand.NewPCG(seed, 1))
	var done []sdk.Completion
	for s := range c {
		at := int64(1e9) + r.Int64N(2e9)
		for k := range each {
			one := sdk.Completion{Request: uint32(k*c + s), SentNs: at, PromptTokens: 512, OutputTokens: uint32(tokens)}
			at += 20e6 + r.Int64N(80e6)
			one.FirstNs = at
			for i := range tokens {
				if i > 0 {
					at += 20e6
				}
				one.Chunks = append(one.Chunks, sdk.Chunk{MonoNs: at, Tokens: 1})
			}
			one.LastNs = at
			done = append(done, one)
		}
	}
	return done
}

// Some hundred requests of which 128 are in flight: the work between edges as they
// come differs from the workload's, that between edges that were looked for does
// not, and the joules of a token are those of the workload.
func TestMatchedEdgesOfStreamsOutOfStep(t *testing.T) {
	const c, tokens, window = 128, 128, int64(10e9)
	const promptJ, outputJ = 0.02, 0.3 // for each token
	truth := promptJ*512/tokens + outputJ
	rejected := 0
	for seed := range uint64(8) {
		done := stroll(seed, c, 12, tokens)
		cuts := cutCompletions(done, c, 3e9, window, 2)
		if len(cuts) != 2 {
			t.Fatalf("seed %d: %d cuts", seed, len(cuts))
		}
		for i, got := range cuts {
			prompt, output := got.mismatch()
			if max(math.Abs(prompt), math.Abs(output)) > 0.002 {
				t.Errorf("seed %d, window %d: off by %.4f (prompt), %.4f (output)", seed, i, prompt, output)
			}
			if got.ToNs-got.FromNs < window {
				t.Errorf("seed %d, window %d: %d ns", seed, i, got.ToNs-got.FromNs)
			}
			joules := promptJ*float64(got.PromptTokens) + outputJ*float64(got.OutputTokens)
			if off := joules/float64(got.OutputTokens)/truth - 1; math.Abs(off) > 0.002 {
				t.Errorf("seed %d, window %d: J/token off by %.4f", seed, i, off)
			}
		}
		if cuts[1].FromNs < cuts[0].ToNs {
			t.Errorf("seed %d: the windows overlap", seed)
		}
		slices.SortFunc(done, func(a, b sdk.Completion) int { return cmp.Compare(a.LastNs, b.LastNs) })
		if counted := tallies(done); counted[2*c].between(counted[5*c]) > 0.002 {
			rejected++
		}
	}
	if rejected < 4 {
		t.Errorf("edges as they come match, too, in %d of 8: this test shows nothing", 8-rejected)
	}
}
