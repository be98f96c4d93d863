package measure

import (
	"math/rand/v2"
	"slices"

	"github.com/llenergymeasure/llem/sdk"
)

// toy is a server with continuous batching whose every joule is known: a step
// costs time for itself, for each sequence and for each prompt token, draws busyW
// while it lasts and prefillW more while it takes in prompts.
type toy struct {
	slots                       int
	baseNs, sequenceNs, tokenNs int64
	idleW, busyW, prefillW      float64
	prompt, output              int
	// lateNs is how late a follower may arrive in a closed loop: it then misses a
	// step now and then, and the requests lose step.
	lateNs int64
}

var server = toy{
	slots: 16, baseNs: 10e6, sequenceNs: 200e3, tokenNs: 40e3, idleW: 100, busyW: 250, prefillW: 150, prompt: 512, output: 64,
}

// served is what became of a schedule, in no time.
type served struct {
	toy
	done  []sdk.Completion
	joule []float64 // that each request took, without idle power
	ends  []int64   // of steps
	begin []int64
	watts []float64
	sum   []float64 // joules of the steps before each
}

// serve lets requests arrive at the offsets; in a closed loop each of the first
// followers that end lets another one arrive.
func (s toy) serve(offsets []int64, followers int) *served {
	offsets = slices.Clone(offsets)
	count := len(offsets) + followers
	out := &served{toy: s, done: make([]sdk.Completion, count), joule: make([]float64, count)}
	var running []int
	random := rand.New(rand.NewPCG(1, 2))
	nowNs, next, total := int64(0), 0, 0.0
	for next < len(offsets) || len(running) > 0 {
		if len(running) == 0 {
			nowNs = max(nowNs, offsets[next])
		}
		fresh := 0
		for next < len(offsets) && offsets[next] <= nowNs && len(running) < s.slots {
			out.done[next] = sdk.Completion{
				Request: uint32(next), IntendedNs: offsets[next], SentNs: offsets[next], PromptTokens: uint32(s.prompt), FinishReason: "length",
			}
			running = append(running, next)
			next++
			fresh++
		}
		prefillNs := int64(fresh*s.prompt) * s.tokenNs
		stepNs := s.baseNs + int64(len(running))*s.sequenceNs
		watts := s.busyW
		if fresh > 0 {
			watts += s.prefillW
		}
		out.begin, out.watts, out.sum = append(out.begin, nowNs), append(out.watts, watts), append(out.sum, total)
		nowNs += stepNs + prefillNs
		out.ends = append(out.ends, nowNs)
		total += watts * float64(stepNs+prefillNs) / 1e9
		for k, i := range running {
			out.joule[i] += watts * float64(stepNs) / 1e9 / float64(len(running))
			if k >= len(running)-fresh {
				out.joule[i] += watts * float64(prefillNs) / 1e9 / float64(fresh)
			}
			c := &out.done[i]
			if c.FirstNs == 0 {
				c.FirstNs = nowNs
			}
			c.LastNs = nowNs
			c.OutputTokens++
			c.Chunks = append(c.Chunks, sdk.Chunk{MonoNs: nowNs, Tokens: 1})
		}
		before := len(running)
		running = slices.DeleteFunc(running, func(i int) bool { return int(out.done[i].OutputTokens) == s.output })
		for range min(before-len(running), followers) {
			arrival := nowNs + random.Int64N(s.lateNs+1)
			at, _ := slices.BinarySearch(offsets, arrival+1)
			offsets = slices.Insert(offsets, at, arrival)
			followers--
		}
	}
	return out
}

// joules between two stamps.
func (o *served) joules(fromNs, toNs int64) float64 {
	until := func(ns int64) float64 {
		i, _ := slices.BinarySearch(o.ends, ns)
		if i == len(o.ends) {
			i--
		}
		return o.sum[i] + o.watts[i]*float64(max(0, min(ns, o.ends[i])-o.begin[i]))/1e9
	}
	return until(toNs) - until(fromNs) + o.idleW*float64(toNs-fromNs)/1e9
}

// truth is the joules of a token by what the cut's own requests took, wherever
// they took it, and by the idle power of the cut's time.
func (o *served) truth(c cut) float64 {
	joules, tokens := o.idleW*float64(c.ToNs-c.FromNs)/1e9, 0.0
	for _, done := range c.Completions {
		joules += o.joule[done.Request]
		tokens += float64(done.OutputTokens)
	}
	return joules / tokens
}

// byTime is how far a cut by time is off, relative.
func (o *served) byTime(fromNs, toNs int64) float64 {
	c := cut{FromNs: fromNs, ToNs: toNs}
	for _, done := range o.done {
		if done.LastNs > fromNs && done.LastNs <= toNs {
			c.Completions = append(c.Completions, done)
		}
	}
	return o.perTokenByTime(fromNs, toNs)/o.truth(c) - 1
}

// perTokenByTime is the joules between two stamps by the tokens between them.
func (o *served) perTokenByTime(fromNs, toNs int64) float64 {
	tokens := 0
	for _, done := range o.done {
		for _, chunk := range done.Chunks {
			if chunk.MonoNs > fromNs && chunk.MonoNs <= toNs {
				tokens += int(chunk.Tokens)
			}
		}
	}
	return o.joules(fromNs, toNs) / float64(tokens)
}
