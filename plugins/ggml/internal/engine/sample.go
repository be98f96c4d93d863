package engine

import (
	"math"
	"math/rand/v2"

	"github.com/llenergymeasure/llem/sdk"
)

// greedy returns the first of the most likely tokens.
func greedy(logits []float32) uint32 {
	best, most := 0, logits[0]
	for i, v := range logits {
		if v > most {
			best, most = i, v
		}
	}
	return uint32(best)
}

// candidate is a token that may be drawn.
type candidate struct {
	id     uint32
	logit  float32
	weight float64 // relative to the most likely token
}

// sampler draws tokens by the workload's sampling: the TopK most likely ones,
// of these the fewest that make up TopP of the probability, at Temperature.
// Its work lies in every decode step, so candidates are ordered only as far as
// they are needed, and memory is kept.
type sampler struct {
	sdk.Sampling
	list []candidate
}

// draw picks a token.
func (s *sampler) draw(logits []float32, random *rand.Rand) uint32 {
	if s.Temperature == 0 {
		return greedy(logits)
	}
	s.list = s.list[:0]
	for i, v := range logits {
		s.list = append(s.list, candidate{id: uint32(i), logit: v})
	}
	heap, most := likeliest(s.list), logits[greedy(logits)]
	k := len(heap)
	if s.TopK > 0 && int(s.TopK) < k {
		k = int(s.TopK)
		heap.order()
		heap = s.list[heap.popTo(k, func(candidate) bool { return true }):]
	}
	var total float64
	for i := range heap {
		heap[i].weight = math.Exp(float64(heap[i].logit-most) / s.Temperature)
		total += heap[i].weight
	}
	if s.TopP > 0 {
		enough := s.TopP * total
		heap.order()
		from := heap.popTo(len(heap), func(c candidate) bool { enough -= c.weight; return enough > 0 })
		heap = heap[from:]
		total = 0
		for _, c := range heap {
			total += c.weight
		}
	}
	point := random.Float64() * total
	for _, c := range heap {
		if point -= c.weight; point < 0 {
			return c.id
		}
	}
	return heap[len(heap)-1].id
}

// likeliest is a binary heap with the most likely candidate on top, the lower
// id where two are equal.
type likeliest []candidate

func (h likeliest) before(i, j int) bool {
	return h[i].logit > h[j].logit || h[i].logit == h[j].logit && h[i].id < h[j].id
}

func (h likeliest) order() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}

func (h likeliest) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h.before(right, child) {
			child = right
		}
		if !h.before(child, i) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// popTo moves up to n candidates from the top to the end, while more asks for
// another, and returns where they begin.
func (h likeliest) popTo(n int, more func(candidate) bool) (from int) {
	from = len(h)
	for i := range min(n, len(h)) {
		from = len(h) - 1 - i
		h[0], h[from] = h[from], h[0]
		h[:from].sink(0)
		if !more(h[from]) {
			break
		}
	}
	return from
}
