package measure

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llenergymeasure/llem/core/energy"
	"github.com/llenergymeasure/llem/sdk"
)

// cut is a span of a Run with the work in it. Edges are stamps of the backend.
type cut struct {
	FromNs, ToNs  int64
	Rule          string
	Passes        int
	Requests      int64
	Failed        int64
	PromptTokens  int64
	OutputTokens  int64
	PaddingTokens int64
	// GapsNs is the idle time between the passes, if it was put in on purpose;
	// Spans are then the passes, and empty otherwise.
	GapsNs int64
	Spans  []energy.Span
	// Completions inside, for latencies.
	Completions []sdk.Completion
}

// cutPasses cuts a batch Run into windows of whole passes, from a pass begin
// to a pass end. The first window starts with the first pass that begins at or
// after settledNs; each lasts at least windowNs; windows do not overlap. Fewer
// windows than count come back if the Run ended too early. In a Run with gaps
// between its passes, the passes alone count.
func cutPasses(passes []sdk.PassRecord, completions []sdk.Completion, settledNs, windowNs int64, count int, gapped bool) []cut {
	var cuts []cut
	at := 0
	for at < len(passes) && passes[at].BeginNs < settledNs {
		at++
	}
	for len(cuts) < count {
		last := at
		var gapsNs int64
		for last < len(passes) && passes[last].EndNs-passes[at].BeginNs-gapsNs < windowNs {
			if last++; gapped && last < len(passes) {
				gapsNs += passes[last].BeginNs - passes[last-1].EndNs
			}
		}
		if last >= len(passes) {
			break
		}
		c := sumPasses(passes[at:last+1], completions)
		if gapped {
			c.takeGapsOut(passes[at : last+1])
		}
		cuts = append(cuts, c)
		at = last + 1
	}
	return cuts
}

func sumPasses(passes []sdk.PassRecord, completions []sdk.Completion) cut {
	first, last := passes[0], passes[len(passes)-1]
	c := cut{
		FromNs: first.BeginNs, ToNs: last.EndNs, Passes: len(passes),
		Rule: fmt.Sprintf("passes %d-%d", first.Index, last.Index),
	}
	for _, p := range passes {
		c.Requests += int64(p.Requests)
		c.Failed += int64(p.Failed)
		c.PromptTokens += p.PromptTokens
		c.OutputTokens += p.OutputTokens
		c.PaddingTokens += p.PaddingTokens
	}
	// A pass's completions are named by their request, not by their stamps:
	// a stamp of a padded sequence may lie outside the pass.
	from, to := first.FirstRequest, last.FirstRequest+last.Requests
	for _, done := range completions {
		if done.Request >= from && done.Request < to {
			c.Completions = append(c.Completions, done)
		}
	}
	return c
}

// cutCompletions cuts a closed loop with concurrency in flight from completion
// to completion, so that the work inside matches the workload: a cut by time is
// up to 39 % wrong when equal lengths march in step. The first edge is the first
// multiple of C at or after settledNs, the second one at least windowNs later;
// where chunks were recorded both then move to where the work matches best
// (matchedEdges). No window reaches beyond the last sending, where the loop
// drains and fewer than C are in flight. Tokens are counted by their own stamps
// where chunks were recorded, else by completed requests.
//
// A request that failed carries no work: no edge counts it, so that one before
// the window does not shift it, and its tokens are nobody's. One that was in
// flight inside the window took part of it all the same; it is in Requests and
// Failed, and a window with any is not ranked.
func cutCompletions(completions []sdk.Completion, concurrency int, settledNs, windowNs int64, count int) []cut {
	return cutAt(completions, concurrency, settledNs, windowNs, count, matchedEdges)
}

// edgeSearch moves the edges of a window, as matchedEdges does.
type edgeSearch func(counted []tally, from, to, most, concurrency int, windowNs int64) (int, int)

func cutAt(completions []sdk.Completion, concurrency int, settledNs, windowNs int64, count int, search edgeSearch) []cut {
	var good, failed []sdk.Completion
	var lastSent int64
	chunked := true
	for _, done := range completions {
		lastSent = max(lastSent, done.SentNs)
		if done.Failed() {
			failed = append(failed, done)
		} else {
			good = append(good, done)
			chunked = chunked && (len(done.Chunks) > 0 || done.OutputTokens == 0)
		}
	}
	slices.SortStableFunc(good, func(a, b sdk.Completion) int {
		return cmp.Or(cmp.Compare(endOf(a), endOf(b)), cmp.Compare(a.Request, b.Request))
	})
	most := len(good)
	for most > 0 && endOf(good[most-1]) > lastSent {
		most--
	}
	var counted []tally
	if chunked {
		counted = tallies(good)
	}
	// end(k) is the time at which k requests had completed.
	end := func(k int) int64 { return endOf(good[k-1]) }
	var cuts []cut
	from := concurrency
	for len(cuts) < count {
		for from <= most && end(from) < settledNs {
			from += concurrency
		}
		to := from + concurrency
		for to <= most && end(to)-end(from) < windowNs {
			to += concurrency
		}
		if to > most {
			break
		}
		if chunked {
			from, to = search(counted, from, to, most, concurrency, windowNs)
		}
		c := sumCompletions(good, from, to)
		for _, f := range failed {
			if f.SentNs < c.ToNs && endOf(f) > c.FromNs {
				c.Requests++
				c.Failed++
			}
		}
		cuts = append(cuts, c)
		from = to
	}
	return cuts
}

// endOf is when a request ended: its last token, or its sending if none came.
func endOf(c sdk.Completion) int64 {
	return max(c.LastNs, c.FirstNs, c.SentNs)
}

// sumCompletions adds up the work between two edges of requests that did not
// fail, sorted by their ends.
func sumCompletions(sorted []sdk.Completion, from, to int) cut {
	c := cut{
		FromNs: endOf(sorted[from-1]), ToNs: endOf(sorted[to-1]),
		Rule:     fmt.Sprintf("completions %d-%d", from, to),
		Requests: int64(to - from), Completions: sorted[from:to],
	}
	chunked := true
	for _, done := range c.Completions {
		c.PromptTokens += int64(done.PromptTokens)
		c.OutputTokens += int64(done.OutputTokens)
		chunked = chunked && (len(done.Chunks) > 0 || done.OutputTokens == 0)
	}
	if !chunked {
		return c
	}
	c.PromptTokens, c.OutputTokens = 0, 0
	inside := func(ns int64) bool { return ns > c.FromNs && ns <= c.ToNs }
	for _, done := range sorted {
		if inside(done.FirstNs) {
			c.PromptTokens += int64(done.PromptTokens)
		}
		for _, chunk := range done.Chunks {
			if inside(chunk.MonoNs) {
				c.OutputTokens += int64(chunk.Tokens)
			}
		}
	}
	return c
}

// otherLengths counts the requests that neither failed nor have the output
// length asked for.
func (c cut) otherLengths(outputTokens int) int {
	count := 0
	for _, done := range c.Completions {
		if !done.Failed() && int64(done.OutputTokens) != int64(outputTokens) {
			count++
		}
	}
	return count
}

// mismatch compares the tokens in a cut with what its completed requests
// carried: relative differences of prompt and output tokens. Beyond 1 % the
// work in the window is not the workload's.
func (c cut) mismatch() (prompt, output float64) {
	var wantPrompt, wantOutput int64
	for _, done := range c.Completions {
		wantPrompt += int64(done.PromptTokens)
		wantOutput += int64(done.OutputTokens)
	}
	rel := func(got, want int64) float64 {
		if want == 0 {
			return 0
		}
		return float64(got-want) / float64(want)
	}
	return rel(c.PromptTokens, wantPrompt), rel(c.OutputTokens, wantOutput)
}
