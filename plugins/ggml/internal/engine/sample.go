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
// Its work lies in every decode step, so candidates are divided rather than
// sorted, and memory is kept.
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
	list, most := s.list, logits[greedy(logits)]
	if s.TopK > 0 {
		list = head(list, float64(s.TopK), func(candidate) float64 { return 1 })
	}
	for i := range list {
		list[i].weight = math.Exp(float64(list[i].logit-most) / s.Temperature)
	}
	if s.TopP > 0 {
		list = head(list, s.TopP*sum(list), candidate.mass)
	}
	point := random.Float64() * sum(list)
	for _, c := range list {
		if point -= c.weight; point < 0 {
			return c.id
		}
	}
	return list[len(list)-1].id
}

func (c candidate) mass() float64 { return c.weight }

func sum(list []candidate) (total float64) {
	for _, c := range list {
		total += c.weight
	}
	return total
}

// before orders by likelihood; of two equal ones the lower id comes first.
func (c candidate) before(d candidate) bool {
	return c.logit > d.logit || c.logit == d.logit && c.id < d.id
}

// head brings the most likely candidates to the front, as few as have the
// mass that is needed, and returns them, in no particular order.
func head(list []candidate, need float64, mass func(candidate) float64) []candidate {
	in, out := 0, len(list) // list[:in] is in, list[out:] is out
	for in < out {
		middle := in + divide(list[in:out])
		var m float64
		for _, c := range list[in:middle] {
			m += mass(c)
		}
		if m >= need {
			out = middle
			continue
		}
		need -= m + mass(list[middle])
		in = middle + 1
		if need <= 0 {
			break
		}
	}
	return list[:in]
}

// divide picks a candidate, moves those before it to its left and the others
// to its right, and returns its place.
func divide(list []candidate) int {
	last := len(list) - 1
	list[len(list)/2], list[last] = list[last], list[len(list)/2]
	place := 0
	for i, c := range list[:last] {
		if c.before(list[last]) {
			list[i], list[place] = list[place], c
			place++
		}
	}
	list[place], list[last] = list[last], list[place]
	return place
}
