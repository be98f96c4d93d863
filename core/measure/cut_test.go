package measure

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llenergymeasure/llem/sdk"
)

// passesOf makes passes of 1 s with 2 requests of 10 tokens, 0.1 s apart.
func passesOf(n int) ([]sdk.PassRecord, []sdk.Completion) {
	var passes []sdk.PassRecord
	var done []sdk.Completion
	for i := range n {
		begin := int64(i) * 1_100_000_000
		passes = append(passes, sdk.PassRecord{
			Index: uint32(i), BeginNs: begin, EndNs: begin + 1e9, FirstRequest: uint32(2 * i),
			Requests: 2, PromptTokens: 6, OutputTokens: 20,
		})
		for r := range 2 {
			done = append(done, sdk.Completion{
				Request: uint32(2*i + r), SentNs: begin, FirstNs: begin + 1e8, LastNs: begin + 1e9,
				PromptTokens: 3, OutputTokens: 10,
			})
		}
	}
	return passes, done
}

func TestCutPassesTakesWholePassesAfterSettling(t *testing.T) {
	passes, done := passesOf(10)
	cuts := cutPasses(passes, done, 1_500_000_000, 3_000_000_000, 2, false)
	if len(cuts) != 2 {
		t.Fatalf("got %d cuts, want 2", len(cuts))
	}
	first := cuts[0]
	if first.FromNs != passes[2].BeginNs || first.ToNs != passes[4].EndNs {
		t.Errorf("first cut is %d to %d, want pass 2's begin to pass 4's end", first.FromNs, first.ToNs)
	}
	if first.Rule != "passes 2-4" || first.Passes != 3 || first.Requests != 6 || first.OutputTokens != 60 || first.PromptTokens != 18 {
		t.Errorf("first cut is %+v", first)
	}
	if len(first.Completions) != 6 {
		t.Errorf("first cut has %d completions, want 6", len(first.Completions))
	}
	if cuts[1].FromNs != passes[5].BeginNs {
		t.Errorf("the second cut begins at %d, want pass 5's begin", cuts[1].FromNs)
	}
}

func TestCutPassesGivesFewerWhenTheRunWasShort(t *testing.T) {
	passes, done := passesOf(4)
	if cuts := cutPasses(passes, done, 0, 3_000_000_000, 2, false); len(cuts) != 1 {
		t.Errorf("got %d cuts of a Run with room for one", len(cuts))
	}
	if cuts := cutPasses(nil, nil, 0, 1, 1, false); len(cuts) != 0 {
		t.Errorf("got %d cuts of an empty Run", len(cuts))
	}
}

// march simulates a closed loop of c sequences in step: all prefill together
// for prefillNs, then n tokens at stepNs each.
func march(c, rounds, n int, prefillNs, stepNs int64) []sdk.Completion {
	var done []sdk.Completion
	at := int64(1e9)
	for r := range rounds {
		for s := range c {
			one := sdk.Completion{Request: uint32(r*c + s), SentNs: at, IntendedNs: at, PromptTokens: 100, OutputTokens: uint32(n)}
			for k := range n {
				one.Chunks = append(one.Chunks, sdk.Chunk{MonoNs: at + prefillNs + int64(k)*stepNs, Tokens: 1})
			}
			one.FirstNs, one.LastNs = one.Chunks[0].MonoNs, one.Chunks[n-1].MonoNs
			done = append(done, one)
		}
		at += prefillNs + int64(n-1)*stepNs
	}
	return done
}

// A cut by completions keeps the work in the window equal to the workload's;
// a cut by time does not, when all sequences march in step.
func TestCutCompletionsMatchesTheWorkload(t *testing.T) {
	for _, c := range []int{1, 32, 128} {
		done := march(c, 12, 20, 400e6, 50e6)
		cuts := cutCompletions(done, c, 2_000_000_000, 5_000_000_000, 1)
		if len(cuts) != 1 {
			t.Fatalf("C=%d: got %d cuts", c, len(cuts))
		}
		prompt, output := cuts[0].mismatch()
		if prompt > 0.005 || prompt < -0.005 || output > 0.005 || output < -0.005 {
			t.Errorf("C=%d: tokens differ from the workload's by %.3f (prompt), %.3f (output)", c, prompt, output)
		}
		if cuts[0].ToNs-cuts[0].FromNs < 5_000_000_000 {
			t.Errorf("C=%d: the window is too short", c)
		}
		if cuts[0].Requests%int64(c) != 0 {
			t.Errorf("C=%d: %d requests are no multiple", c, cuts[0].Requests)
		}
	}
}

func TestCutCompletionsCountsFailures(t *testing.T) {
	done := march(2, 6, 5, 1e8, 1e8)
	done[5].Error = "boom"
	cuts := cutCompletions(done, 2, 0, 1_000_000_000, 1)
	if len(cuts) != 1 || cuts[0].Failed != 1 {
		t.Errorf("got %+v, want one failed request", cuts)
	}
}

// joulesOf integrates a power that follows the work of march: 600 W while
// prompts are taken in, 300 W while tokens are made, round after round.
func joulesOf(fromNs, toNs, prefillNs, roundNs int64) float64 {
	until := func(ns int64) float64 {
		ns -= 1e9 // march begins there
		rest := ns % roundNs
		j := float64(ns/roundNs) * (600*float64(prefillNs) + 300*float64(roundNs-prefillNs))
		return (j + 600*float64(min(rest, prefillNs)) + 300*float64(max(0, rest-prefillNs))) / 1e9
	}
	return until(toNs) - until(fromNs)
}

// The trap of equal lengths that march in step: J/token of a cut by time
// depends on where it falls, that of a cut by completions does not.
func TestCutCompletionsGivesTheJoulesOfATokenInStep(t *testing.T) {
	const c, tokens, prefill, step = 32, 20, int64(400e6), int64(50e6)
	const round = prefill + (tokens-1)*step
	done := march(c, 20, tokens, prefill, step)
	truth := joulesOf(1e9, 1e9+round, prefill, round) / (c * tokens)
	worstByTime := 0.0
	for at := int64(2e9); at < 2e9+round; at += round / 60 {
		cuts := cutCompletions(done, c, at, 3e9, 2)
		if len(cuts) != 2 {
			t.Fatalf("%d cuts after %d ns", len(cuts), at)
		}
		for i, got := range cuts {
			near(t, fmt.Sprintf("window %d after %d ns", i, at), joulesOf(got.FromNs, got.ToNs, prefill, round)/float64(got.OutputTokens), truth, 0.005)
		}
		inside := 0
		for _, d := range done {
			for _, chunk := range d.Chunks {
				if chunk.MonoNs > at && chunk.MonoNs <= at+2e9 {
					inside += int(chunk.Tokens)
				}
			}
		}
		worstByTime = max(worstByTime, math.Abs(joulesOf(at, at+2e9, prefill, round)/float64(inside)/truth-1))
	}
	if worstByTime < 0.1 {
		t.Errorf("a cut by time is wrong by %.1f %% at worst; these completions prove nothing", 100*worstByTime)
	}
}

// A loop that drains has fewer in flight than it should: no window lies there.
func TestCutCompletionsLeavesTheDrainOut(t *testing.T) {
	const c = 4
	var done []sdk.Completion
	for i := range 12 * c {
		// Four in flight, each 1 s long, begun a quarter of a second apart.
		sent := int64(i) * 250e6
		done = append(done, sdk.Completion{Request: uint32(i), SentNs: sent, FirstNs: sent + 1e8, LastNs: sent + 1e9, PromptTokens: 1, OutputTokens: 1})
	}
	lastSent := done[len(done)-1].SentNs
	for windows := 1; windows < 12; windows++ {
		for _, got := range cutCompletions(done, c, 0, 1e9, windows) {
			if got.ToNs > lastSent {
				t.Errorf("a window ends %d ns after the last sending", got.ToNs-lastSent)
			}
		}
	}
	if n := len(cutCompletions(done, c, 0, 1e9, 12)); n != 10 {
		t.Errorf("%d windows, want those of rounds 1 to 11", n)
	}
}

// Requests that failed carry no work: they move no edge and add no token. Those
// in flight inside a window are counted there, and only those.
func TestCutCompletionsGivesFailuresNoWork(t *testing.T) {
	var good []sdk.Completion
	for i := range 48 {
		sent := int64(i) * 250e6
		good = append(good, sdk.Completion{
			Request: uint32(i), SentNs: sent, FirstNs: sent + 1e8, LastNs: sent + 1e9, PromptTokens: 7, OutputTokens: 2,
			Chunks: []sdk.Chunk{{MonoNs: sent + 1e8, Tokens: 1}, {MonoNs: sent + 1e9, Tokens: 1}},
		})
	}
	failed := func(sent, last int64) sdk.Completion {
		return sdk.Completion{
			Request: 99, Error: "no slot", SentNs: sent, FirstNs: last, LastNs: last, PromptTokens: 7, OutputTokens: 1,
			Chunks: []sdk.Chunk{{MonoNs: last, Tokens: 1}},
		}
	}
	whole := cutCompletions(good, 4, 2e9, 3e9, 1)[0]
	for name, c := range map[string]struct {
		failures []sdk.Completion
		inside   int64
	}{
		"before the window":         {[]sdk.Completion{failed(0, 0), failed(1, 0), failed(1e9, whole.FromNs)}, 0},
		"after the window":          {[]sdk.Completion{failed(whole.ToNs, 0)}, 0},
		"inside":                    {[]sdk.Completion{failed(whole.FromNs+1, 0), failed(whole.FromNs+1, whole.FromNs+2)}, 2},
		"over its beginning":        {[]sdk.Completion{failed(0, whole.FromNs+1)}, 1},
		"over its end":              {[]sdk.Completion{failed(whole.ToNs-1, whole.ToNs+1)}, 1},
		"from before it till after": {[]sdk.Completion{failed(0, whole.ToNs+1)}, 1},
	} {
		want := whole
		want.Requests, want.Failed = whole.Requests+c.inside, c.inside
		got := cutCompletions(slices.Concat(c.failures, good), 4, 2e9, 3e9, 1)
		if diff := cmp.Diff([]cut{want}, got); diff != "" {
			t.Errorf("failures %s (-without +with):\n%s", name, diff)
		}
	}
}

// Counts beyond 32 bits add up.
func TestCutPassesOfManyTokens(t *testing.T) {
	passes, _ := passesOf(3)
	for i := range passes {
		passes[i].OutputTokens, passes[i].Requests = math.MaxUint32, math.MaxUint32/4
	}
	got := cutPasses(passes, nil, 0, 3e9, 1, false)
	if len(got) != 1 || got[0].OutputTokens != 3*math.MaxUint32 || got[0].Requests != 3*(math.MaxUint32/4) {
		t.Errorf("%+v", got)
	}
}
