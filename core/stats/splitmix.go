package stats

// splitmix64 is Steele, Lea and Flood's generator (OOPSLA 2014): small, seeded by
// one number and the same everywhere, so that a bootstrap interval can be
// reproduced from its seed in any language.
type splitmix64 uint64

func (s *splitmix64) next() uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

// index is next mod n: for the sizes of a study the bias is below 1e-17.
func (s *splitmix64) index(n int) int { return int(s.next() % uint64(n)) }
