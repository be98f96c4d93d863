package measure

import (
	"cmp"
	"math"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// enoughMatched is how far, relative, the tokens between two edges may be from
// those of the requests that completed there without a search going on. It is a
// tenth of what the gate work_mismatch lets through.
const enoughMatched = 0.001

// tally is the work up to the end of a completion: what was stamped by then, and
// what the requests completed by then carried.
type tally struct {
	endNs                  int64
	prompt, output         int64 // by stamps
	wantPrompt, wantOutput int64 // by completed requests
	inFlight               int   // requests that had been sent and not completed
}

// between is by how much the work between two tallies differs from that of the
// requests that completed there: the larger of prompt and output, relative.
func (a tally) between(b tally) float64 {
	off := func(got, want int64) float64 {
		if want == 0 {
			return 0
		}
		return math.Abs(float64(got-want) / float64(want))
	}
	return max(off(b.prompt-a.prompt, b.wantPrompt-a.wantPrompt), off(b.output-a.output, b.wantOutput-a.wantOutput))
}

// tallies counts along completions that are sorted by their ends and have
// chunks: one tally for each, and an empty one before the first.
func tallies(sorted []sdk.Completion) []tally {
	type piece struct {
		ns             int64
		prompt, output int64
	}
	var pieces []piece
	for _, done := range sorted {
		pieces = append(pieces, piece{ns: done.FirstNs, prompt: int64(done.PromptTokens)})
		for _, chunk := range done.Chunks {
			pieces = append(pieces, piece{ns: chunk.MonoNs, output: int64(chunk.Tokens)})
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.ns, b.ns) })
	var sent []int64
	for _, done := range sorted {
		sent = append(sent, done.SentNs)
	}
	slices.Sort(sent)
	counted := make([]tally, 1, len(sorted)+1)
	at, begun, sum := 0, 0, tally{}
	for i, done := range sorted {
		sum.endNs = endOf(done)
		for begun < len(sent) && sent[begun] < sum.endNs {
			begun++
		}
		sum.inFlight = begun - (i + 1)
		for ; at < len(pieces) && pieces[at].ns <= sum.endNs; at++ {
			sum.prompt += pieces[at].prompt
			sum.output += pieces[at].output
		}
		sum.wantPrompt += int64(done.PromptTokens)
		sum.wantOutput += int64(done.OutputTokens)
		counted = append(counted, sum)
	}
	return counted
}

// matchedEdges moves the edges of a window by less than a round of concurrency
// completions each, to where the tokens stamped between them match those of the
// requests completed between them: requests that had begun before the window and
// requests that end after it then cancel. Streams that have lost step are off by
// about sqrt(C/6) requests at edges that are not chosen, which is more than 1 % of
// some hundred requests.
func matchedEdges(counted []tally, from, to, most, concurrency int, windowNs int64) (int, int) {
	return bestEdges(counted, from, to, most, concurrency, windowNs, enoughMatched, func(i, j int) float64 {
		return counted[i].between(counted[j])
	})
}

// bestEdges moves the edges of a window, completions from and to, by less than step
// completions each, to where badness is least, or to the first place where it is no
// more than enough. Badness is of work, never of energy, so the choice prefers no
// joules. No window becomes shorter than windowNs or reaches beyond most.
func bestEdges(counted []tally, from, to, most, step int, windowNs int64, enough float64, badness func(i, j int) float64) (int, int) {
	bestFrom, bestTo, best := from, to, badness(from, to)
	for i := from; i < from+step && best > enough; i++ {
		j := max(to, i+1)
		for j <= most && counted[j].endNs-counted[i].endNs < windowNs {
			j++
		}
		for last := min(most, j+step-1); j <= last && best > enough; j++ {
			if bad := badness(i, j); bad < best {
				bestFrom, bestTo, best = i, j, bad
			}
		}
	}
	return bestFrom, bestTo
}
