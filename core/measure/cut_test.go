package measure

import (
	"testing"

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
	cuts := cutPasses(passes, done, 1_500_000_000, 3_000_000_000, 2)
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
	if cuts := cutPasses(passes, done, 0, 3_000_000_000, 2); len(cuts) != 1 {
		t.Errorf("got %d cuts of a Run with room for one", len(cuts))
	}
	if cuts := cutPasses(nil, nil, 0, 1, 1); len(cuts) != 0 {
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
