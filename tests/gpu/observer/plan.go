package main

import "math/rand/v2"

// quad is four stretches in a row; true is watched. Both kinds have the same mean
// place, so that what drifts evenly over it cancels.
type quad [4]bool

// order draws n quads and one before them that is thrown away: ABBA and BAAB in equal
// numbers, in an order that nobody chose.
func order(n int, seed uint64) []quad {
	quads := make([]quad, n)
	for i := range quads {
		b := i%2 == 0
		quads[i] = quad{b, !b, !b, b}
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(n, func(i, k int) { quads[i], quads[k] = quads[k], quads[i] })
	return append([]quad{{false, true, true, false}}, quads...)
}
